"""A secret by name; its value is never part of a spec."""

from __future__ import annotations

import re

from imagebuilder.errors import SpecError
from imagebuilder.spec.value import Value

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*\Z"


class Secret(Value):
    """A secret that a step, a registry or a task asks for.

    `mount` is the absolute path of a file that holds the value while the step runs; `as_env_var` the variable that
    holds it. With neither, the variable is GROUP_KEY in upper case.
    """

    key: str
    group: str | None = None
    mount: str | None = None
    as_env_var: str | None = None

    def check(self) -> None:
        """Refuse a key, group, path or variable that cannot be one."""
        for name, text in (("key", self.key), ("group", self.group)):
            if text is None and name == "group":
                continue
            if not isinstance(text, str) or not text.strip():
                raise SpecError(f"a secret needs a {name}, not {text!r}", hint='write Secret(key="API_TOKEN")')
            if not text.isprintable():
                raise SpecError(f"the {name} of secret {self.key!r} has unprintable characters")
        if self.mount is not None:
            self.__dict__["mount"] = _mount_path(self.key, self.mount)
        if self.as_env_var is not None and not re.match(_VARIABLE, str(self.as_env_var)):
            raise SpecError(
                f"secret {self.key!r}: {self.as_env_var!r} is not a variable name",
                hint=f'write Secret(key={self.key!r}, as_env_var="{self.default_variable}")',
            )

    @property
    def default_variable(self) -> str:
        """GROUP_KEY (or KEY) in upper case, every other character an underscore."""
        name = re.sub(r"[^A-Za-z0-9]", "_", f"{self.group}_{self.key}" if self.group else self.key).upper()
        return f"_{name}" if name[0].isdigit() else name

    @property
    def variable(self) -> str | None:
        """The variable the step sees; None where only a file was asked for."""
        if self.as_env_var is not None:
            return self.as_env_var
        return None if self.mount is not None else self.default_variable

    def __repr__(self) -> str:
        shown = [f"{self.key!r}"]
        shown += [
            f"{name}={value!r}"
            for name, value in (("group", self.group), ("mount", self.mount), ("as_env_var", self.as_env_var))
            if value is not None
        ]
        return f"Secret({', '.join(shown)})"


def _mount_path(key: str, mount: object) -> str:
    path = str(mount)
    # BuildKit reads the flags of an instruction byte by byte: a letter outside ASCII would become two others.
    readable = path.isascii() and path.isprintable()
    if not path.startswith("/") or path.endswith("/") or ".." in path.split("/") or not readable:
        raise SpecError(
            f"secret {key!r}: the mount {path!r} is not the absolute path of a file",
            hint=f'write Secret(key={key!r}, mount="/run/secrets/{re.sub(r"[^A-Za-z0-9._-]", "-", key)}")',
        )
    return path


SecretRequest = str | Secret | tuple[str | Secret, ...] | list[str | Secret]


def secrets_from(request: SecretRequest | None, where: str) -> tuple[Secret, ...]:
    """Accept one secret or several, each as a key or a `Secret`."""
    if request is None:
        return ()
    items = request if isinstance(request, (list, tuple)) else (request,)
    found = []
    for item in items:
        if isinstance(item, str):
            found.append(Secret(item))
        elif isinstance(item, Secret):
            found.append(item)
        else:
            raise SpecError(f"{where}: {item!r} is not a secret", hint='write secret_mounts=[Secret(key="API_TOKEN")]')
    return _without_conflicts(tuple(dict.fromkeys(found)), where)


def _without_conflicts(secrets: tuple[Secret, ...], where: str) -> tuple[Secret, ...]:
    for name, values in (("variable", [s.variable for s in secrets]), ("mount", [s.mount for s in secrets])):
        twice = next((value for value in values if value is not None and values.count(value) > 1), None)
        if twice is not None:
            raise SpecError(
                f"{where}: two secrets have the {name} {twice}",
                hint='write Secret("KEY", as_env_var="OTHER_NAME"), or another mount, for one of them',
            )
    return secrets
