"""Where the values of secrets come from: the environment, a file, a command."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from imagebuilder.builders.site import Site
from imagebuilder.errors import ConfigError, SecretError
from imagebuilder.plan.secrets import IndexPassword, Need
from imagebuilder.spec.secret import Secret

_COMMAND_SECONDS = 60.0
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
            if rule.partition(":")[0] not in ("env", "file", "command") or not rule.partition(":")[2]:
                raise ConfigError(f"secret {key}: {rule!r} does not say where its value is", hint=f"write {_FORMS}")

    def __repr__(self) -> str:
        return f"Vault({sorted(self._rules)})"

    def values(self, needs: Mapping[str, Need]) -> dict[str, str]:
        """The value of everything that is needed, by id.

        Raises:
            SecretError: some have none; all of them are named.
        """
        found, missing = {}, []
        for name, need in needs.items():
            try:
                found[name] = need.value if isinstance(need, IndexPassword) else self.value(need)
            except SecretError as error:
                missing.append(error)
        if missing:
            raise missing[0] if len(missing) == 1 else SecretError(
                "; ".join(error.message for error in missing), hint=missing[0].hint
            )
        return found

    def value(self, secret: Secret) -> str:
        """The value of one secret.

        Raises:
            SecretError: it has none; the message names the secret and where it was looked for, never a value.
        """
        name = f"{secret.group}/{secret.key}" if secret.group else secret.key
        if name not in self._values:
            self._values[name] = self._find(secret, name)
        return self._values[name]

    def _find(self, secret: Secret, name: str) -> str:
        rule = self._rules.get(name) or self._rules.get(secret.key)
        variable = secret.default_variable
        kind, _, place = (rule or f"env:{variable}").partition(":")
        hint = f"export {variable}=..., or say where it is: --secret {name}=env:VARIABLE | file:PATH | command:WORDS"
        match kind:
            case "env":
                value = self._environ.get(place)
                if value is None and rule is None:
                    value = self._environ.get(secret.key)
                if not value:
                    raise SecretError(f"secret {name} has no value: the variable {place} is not set", hint=hint)
                return value
            case "file":
                try:
                    return Path(place).expanduser().read_text(encoding="utf-8").rstrip("\n")
                except (OSError, UnicodeDecodeError) as error:
                    why = error.strerror if isinstance(error, OSError) else "it is not text"
                    raise SecretError(f"secret {name} has no value: {place}: {why}", hint=hint) from None
            case _:
                return self._run(name, place, hint)

    def _run(self, name: str, place: str, hint: str) -> str:
        command = shlex.split(place)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False, env=dict(self._environ)
            )
        except subprocess.TimeoutExpired:
            raise SecretError(
                f"secret {name} has no value: {command[0]} did not answer within {_COMMAND_SECONDS:g} s", hint=hint
            ) from None
        except OSError as error:
            raise SecretError(f"secret {name} has no value: {command[0]}: {error.strerror}", hint=hint) from None
        if done.returncode != 0:
            raise SecretError(
                f"secret {name} has no value: {command[0]} failed with exit code {done.returncode}", hint=hint
            )
        value = done.stdout.rstrip("\n")
        if not value:
            raise SecretError(f"secret {name} has no value: {command[0]} printed nothing", hint=hint)
        return value


def site_is_usable(site: Site) -> None:
    """Refuse a site whose files are missing, before anything is built.

    Raises:
        ConfigError: the CA bundle cannot be read.
    """
    if site.ca_bundle is not None and not Path(site.ca_bundle).is_file():
        raise ConfigError(
            f"the CA bundle {site.ca_bundle} does not exist", hint="set ca_bundle under [tool.imagebuilder.site]"
        )
