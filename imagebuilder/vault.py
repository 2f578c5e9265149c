"""Where the values of secrets come from: the environment, a file, a command."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.errors import ConfigError, SecretError
from imagebuilder.plan.secrets import IndexPassword, Need

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.builders.site import Site
    from imagebuilder.spec.secret import Secret

_COMMAND_SECONDS = 60.0
_LONGEST = 100_000  # bytes; values travel in variables, and Linux takes 128 KiB in one (execve(2))
_FORMS = "env:VARIABLE, file:PATH or command:WORDS"


class Vault:
    """Looks values up, each once; `rules` say where by key, or by group/key.

    Without a rule a value is the environment variable that the secret's key and group name.
    """

    def __init__(self, environ: Mapping[str, str], rules: Mapping[str, str] | None = None) -> None:
        self._environ = environ
        self._rules = dict(rules or {})
        self._values: dict[str, str] = {}
        for key, rule in self._rules.items():
            _check(key, rule)

    def __repr__(self) -> str:
        return f"Vault({sorted(self._rules)})"

    def values(self, needs: Mapping[str, Need]) -> dict[str, str]:
        """The value of everything that is needed, by id.

        Raises:
            SecretError: some have none; all of them are named.
        """
        found: dict[str, str] = {}
        missing: list[SecretError] = []
        for name, need in needs.items():
            value = self._try(need)
            if isinstance(value, SecretError):
                missing.append(value)
            else:
                found[name] = value
        if len(missing) == 1:
            raise missing[0]
        if missing:
            messages = dict.fromkeys(error.message for error in missing)
            raise SecretError("; ".join(messages), hint=missing[0].hint)
        return found

    def _try(self, need: Need) -> str | SecretError:
        try:
            return need.value if isinstance(need, IndexPassword) else self.value(need)
        except SecretError as error:
            return error

    def value(self, secret: Secret) -> str:
        """The value of one secret.

        A newline at the end of a one-line value is not part of it; a key of several lines (PEM) stays as it is.

        Raises:
            SecretError: it has none; the message names the secret and where it was looked for, never a value.
        """
        name = f"{secret.group}/{secret.key}" if secret.group else secret.key
        if name not in self._values:
            self._values[name] = self._find(secret, name)
        return self._values[name]

    def _find(self, secret: Secret, name: str) -> str:
        rule = self._rules.get(name) or self._rules.get(secret.key)
        kind, _, place = (rule or f"env:{secret.default_variable}").partition(":")
        try:
            match kind:
                case "env":
                    value = self._variable(place, None if rule else secret.key)
                case "file":
                    value = _file(place)
                case _:
                    value = self._output(place)
        except _NoValueError as error:
            hint = "export {}=..., or say where it is: --secret {}=env:VARIABLE | file:PATH | command:WORDS"
            raise SecretError(
                f"secret {name} has no value: {error}", hint=hint.format(secret.default_variable, name)
            ) from None
        value = value.replace("\r\n", "\n") if value.count("\n") == 1 else value
        value = value.removesuffix("\n") if value.count("\n") == 1 else value
        if "\0" in value or len(value.encode("utf-8", "surrogateescape")) > _LONGEST:
            raise SecretError(f"secret {name} is no text of at most {_LONGEST:,} bytes")
        return value

    def _variable(self, variable: str, other: str | None) -> str:
        value = self._environ.get(variable) or (self._environ.get(other) if other else None)
        if not value:
            state = "empty" if variable in self._environ else "not set"
            raise _NoValueError(f"the variable {variable} is {state}")
        return value

    def _output(self, place: str) -> str:
        command = shlex.split(place)
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, timeout=_COMMAND_SECONDS, check=False, env=dict(self._environ)
            )
        except subprocess.TimeoutExpired:
            raise _NoValueError(f"{command[0]} did not answer within {_COMMAND_SECONDS:g} s") from None
        except OSError as error:
            raise _NoValueError(f"{command[0]}: {error.strerror}") from None
        if done.returncode != 0:
            raise _NoValueError(f"{command[0]} failed with exit code {done.returncode}")
        value = _text(done.stdout, f"what {command[0]} printed")
        if not value.strip():
            raise _NoValueError(f"{command[0]} printed nothing")
        return value


class _NoValueError(Exception):
    """Why there is no value; the message never holds one."""


def _file(place: str) -> str:
    try:
        value = _text(Path(place).expanduser().read_bytes(), place)
    except OSError as error:
        raise _NoValueError(f"{place}: {error.strerror}") from None
    if not value.strip():
        raise _NoValueError(f"{place} is empty")
    return value


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _NoValueError(f"{what} is not text") from None


def _check(key: str, rule: str) -> None:
    kind, _, place = rule.partition(":")
    if kind not in ("env", "file", "command") or not place.strip():
        # Somebody may have written the value itself, so it is not repeated.
        raise ConfigError(f"the rule of secret {key} does not say where its value is", hint=f"write {_FORMS}")
    if kind == "command":
        try:
            shlex.split(place)
        except ValueError as error:
            raise ConfigError(f"secret {key}: its command does not split into words: {error}") from None


def site_is_usable(site: Site) -> None:
    """Refuse a site whose files are missing, before anything is built.

    Raises:
        ConfigError: the CA bundle cannot be read.
    """
    if site.ca_bundle is not None and not Path(site.ca_bundle).is_file():
        raise ConfigError(
            f"the CA bundle {site.ca_bundle} does not exist", hint="set ca_bundle under [tool.imagebuilder.site]"
        )
