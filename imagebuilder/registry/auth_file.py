"""Docker's and Podman's files of credentials: which entry is for a repository (containers-auth.json(5))."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.errors import ConfigError
from imagebuilder.registry.credential import Credential
from imagebuilder.spec.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Mapping

HUB_KEY = "https://index.docker.io/v1/"
_HUB_NAMES = frozenset({"index.docker.io", "registry-1.docker.io", DOCKER_HUB})


@dataclass(frozen=True)
class Helper:
    """A credential helper to run: `docker-credential-<name> get`, with `server` on its input."""

    name: str
    server: str
    source: str


@dataclass(frozen=True)
class AuthFile:
    """A parsed file; `source` is its path for messages."""

    source: str
    auths: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    helpers: Mapping[str, str] = field(default_factory=dict)
    store: str = ""

    @classmethod
    def parse(cls, text: str, source: str) -> AuthFile:
        """Read such a file.

        Raises:
            ConfigError: it is not one. The message holds nothing of its content.
        """
        hint = "repair the file, or log in again with `docker login`"
        try:
            value = json.loads(text or "{}")
        except ValueError as error:
            where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "its encoding"
            raise ConfigError(f"{source} is not JSON ({where})", hint=hint) from None
        if not isinstance(value, dict):
            raise ConfigError(f"{source} is not a JSON object", hint=hint)
        auths, helpers, store = value.get("auths"), value.get("credHelpers"), value.get("credsStore")
        return cls(
            source,
            {_key(key): entry for key, entry in _items(auths) if isinstance(entry, dict)},
            {_key(key): name for key, name in _items(helpers) if isinstance(name, str) and name},
            store if isinstance(store, str) else "",
        )

    def find(self, registry: str, repository: str) -> tuple[Credential | Helper, ...]:
        """What may hold the login for a repository, the most specific first.

        At each level a helper comes before an entry; the store for all registries comes last, since `docker login`
        leaves an empty entry where it used the store.
        """
        found: list[Credential | Helper] = []
        for key in _namespaces(registry, repository):
            if helper := self.helpers.get(key):
                found.append(Helper(helper, server_name(key), self.source))
            credential = _credential(self.auths.get(key, {}), self.source, key)
            if credential:
                found.append(credential)
        if self.store:
            found.append(Helper(self.store, server_name(registry), self.source))
        return tuple(found)


def server_name(key: str) -> str:
    """The name under which helpers keep a registry."""
    return HUB_KEY if key == DOCKER_HUB else key


def _namespaces(registry: str, repository: str) -> list[str]:
    parts = [registry, *repository.split("/")]
    return ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]


def _key(key: str) -> str:
    """A key without scheme and API version; Docker Hub's names are one."""
    scheme, separator, rest = key.partition("://")
    host, _, path = (rest if separator else scheme).strip("/").partition("/")
    if separator or path in ("v1", "v2"):
        path = ""
    if host in _HUB_NAMES:
        host = DOCKER_HUB
    return f"{host}/{path}" if path else host


def _items(value: object) -> tuple[tuple[str, object], ...]:
    return tuple(value.items()) if isinstance(value, dict) else ()


def _credential(entry: Mapping[str, object], source: str, key: str) -> Credential | None:
    identity, auth = entry.get("identitytoken"), entry.get("auth")
    username, password = entry.get("username"), entry.get("password")
    user = username if isinstance(username, str) else ""
    secret = password if isinstance(password, str) else ""
    if isinstance(auth, str) and auth:
        try:
            user, colon, secret = b64decode(auth, validate=False).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:
            raise ConfigError(
                f"the entry for {key} in {source} is not base64 of user:password",
                hint=f"log in again with `docker login {key}`",
            ) from None
        secret = secret.rstrip("\0")
    if isinstance(identity, str) and identity:
        return Credential("" if user == "<token>" else user, identity_token=identity, source=source)
    return Credential(user, secret, source=source) if user or secret else None
