"""Where logins are found: `CredentialStore`."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from imagebuilder.errors import ConfigError, RegistryError
from imagebuilder.registry.auth_file import AuthFile, Helper
from imagebuilder.registry.credential import Credential

if TYPE_CHECKING:
    from collections.abc import Mapping

_HELPER_SECONDS = 30.0
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers print where the secret is an identity token


class Credentials(Protocol):
    """Finds the login for a repository; None is anonymous."""

    def lookup(self, registry: str, repository: str) -> Credential | None:
        """The login for a repository."""


class CredentialStore:
    """The logins that Docker and Podman keep, in their order, each file read once and only when asked.

    `overrides` are logins by registry, or by `registry/namespace`, and win. `home` is None where there is none. Helpers
    are run only for registries that ask for a login.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        home: Path | None = None,
        overrides: Mapping[str, Credential] | None = None,
    ) -> None:
        self._environ = dict(environ or {})
        self._home = home
        self._overrides = dict(overrides or {})
        self._files: tuple[AuthFile, ...] | None = None
        self._asked: dict[Helper, Credential | None] = {}
        self._lock = threading.Lock()

    def lookup(self, registry: str, repository: str) -> Credential | None:
        """The login for a repository, None where there is none.

        Raises:
            ConfigError: a file of credentials is broken.
            RegistryError: a credential helper failed.
        """
        parts = [registry, *repository.split("/")]
        for end in range(len(parts), 0, -1):
            if override := self._overrides.get("/".join(parts[:end])):
                return override
        with self._lock:
            if self._files is None:
                self._files = self._read()
            for file in self._files:
                for found in file.find(registry, repository):
                    credential = self._run(found) if isinstance(found, Helper) else found
                    if credential:
                        return credential
        return None

    def paths(self) -> tuple[Path, ...]:
        """The files that are looked at, first to last; not all of them need exist."""
        environ, home = self._environ, self._home
        explicit, runtime, config, docker = map(
            environ.get, ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG")
        )
        folders = (
            Path(runtime, "containers", "auth.json") if runtime else None,
            Path(config, "containers", "auth.json") if config else home and home / ".config/containers/auth.json",
            # As with docker itself, DOCKER_CONFIG stands in place of ~/.docker.
            Path(docker, "config.json") if docker else home and home / ".docker/config.json",
        )
        return (*((Path(explicit),) if explicit else ()), *(path for path in folders if path))

    def _read(self) -> tuple[AuthFile, ...]:
        files = []
        for path in self.paths():
            try:
                text = path.read_text(encoding="utf-8")
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not text"
                raise ConfigError(f"cannot read credentials from {path}: {why}", hint="check the file") from error
            files.append(AuthFile.parse(text, str(path)))
        if inline := self._environ.get("DOCKER_AUTH_CONFIG"):
            files.append(AuthFile.parse(inline, "DOCKER_AUTH_CONFIG"))
        return tuple(files)

    def _run(self, helper: Helper) -> Credential | None:
        if helper not in self._asked:
            self._asked[helper] = run_helper(helper, self._environ)
        return self._asked[helper]


def run_helper(helper: Helper, environ: Mapping[str, str]) -> Credential | None:
    """Ask a credential helper (docker-credential-helpers' protocol); "not found" is None.

    Raises:
        RegistryError: the helper is missing or failed. The message never holds its standard output.
    """
    import subprocess

    program = f"docker-credential-{helper.name}"
    told = f"{helper.source} names the credential helper {program} for {helper.server}"
    hint = f"try `echo {helper.server} | {program} get`, or take it out of {helper.source}"
    if "/" in helper.name:
        raise RegistryError(f"{told}, which is not a program's name", hint=hint)
    try:
        done = subprocess.run(
            [program, "get"],
            input=helper.server.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            env=dict(environ) or None,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RegistryError(f"{told}; it did not answer within {_HELPER_SECONDS:g} s", hint=hint) from None
    except OSError as error:
        raise RegistryError(f"{told}; it cannot be run: {error.strerror}", hint=hint) from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        if "credentials not found" in said.lower():
            return None
        why = done.stderr.decode(errors="replace").strip()[:200] or f"exit code {done.returncode}"
        raise RegistryError(f"{told}; it failed: {why}", hint=hint)
    try:
        answer = json.loads(done.stdout)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise RegistryError(f"{told}; its answer is not the JSON it should be", hint=hint) from None
    if username == _TOKEN_USER:
        return Credential("", identity_token=secret, source=program)
    return Credential(username, secret, source=program) if username or secret else None
