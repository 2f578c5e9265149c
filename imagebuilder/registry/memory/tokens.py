"""The token service of a registry in memory (distribution's "Token Authentication")."""

from __future__ import annotations

import itertools
import json
import threading
from base64 import b64decode
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from imagebuilder.registry import scope
from imagebuilder.registry.memory.contents import Answer, Asked, error

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PATH = "/token"


class TokenService:
    """Hands out tokens; `users` are passwords by name, `public` repositories need no login to pull.

    `expires_in` is what its answers say; `revoke` makes the registry refuse all tokens it gave.
    """

    def __init__(self, users: Mapping[str, str], public: Collection[str] = (), expires_in: int = 300) -> None:
        self.users = dict(users)
        self.public = set(public)
        self.expires_in = expires_in
        self.fetched: list[scope.Scopes] = []
        self._granted: dict[str, set[str]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def revoke(self) -> None:
        """Let all tokens expire."""
        with self._lock:
            self._granted.clear()

    def answer(self, asked: Asked) -> Answer:
        """Answer a request for a token: GET with Basic, or POST of an identity token, which is `identity-<user>`."""
        query = parse_qs(urlsplit(asked.path).query)
        user: str | None = None
        if asked.method == "POST":
            form = parse_qs(asked.body.decode())
            user = form.get("refresh_token", [""])[0].removeprefix("identity-")
            if user not in self.users:
                return error(401, "UNAUTHORIZED", "unknown identity token")
            query = form
        elif given := asked.headers.get("authorization"):
            user, _, password = b64decode(given.removeprefix("Basic ")).decode().partition(":")
            if self.users.get(user) != password:
                return error(401, "UNAUTHORIZED", "incorrect username or password")
        scopes = scope.merge(tuple(query.get("scope", ())))
        with self._lock:
            self.fetched.append(scopes)
            value = f"token-{next(self._numbers)}"
            self._granted[value] = {one for asked_for in scopes for one in self._allowed(asked_for, user)}
        body = json.dumps({"token": value, "expires_in": self.expires_in}).encode()
        return Answer(200, {"Content-Type": "application/json"}, body)

    def refusal(self, asked: Asked, base: str) -> Answer | None:
        """The 401 for a request whose token does not do; None where it does."""
        needed = _needed(asked)
        held = self._granted.get(asked.headers.get("authorization", "").removeprefix("Bearer "))
        if held is not None and all(one in held for one in needed):
            return None
        scopes = " ".join(scope.merge(tuple(needed)))
        challenge = f'Bearer realm="{base}{PATH}",service="memory",scope="{scopes}"'
        if held is not None:
            challenge += ',error="insufficient_scope"'
        return error(401, "UNAUTHORIZED", "authentication required", **{"WWW-Authenticate": challenge})

    def _allowed(self, asked: str, user: str | None) -> list[str]:
        resource, _, actions = asked.rpartition(":")
        public = resource.removeprefix("repository:") in self.public
        return [f"{resource}:{action}" for action in actions.split(",") if user or (public and action == "pull")]


def _needed(asked: Asked) -> list[str]:
    parts = urlsplit(asked.path)
    path = parts.path.removeprefix("/v2/")
    for mark in ("/manifests/", "/blobs/", "/tags/"):
        name, found, _ = path.partition(mark)
        if found:
            break
    else:
        return []
    needed = [f"repository:{name}:pull"]
    if asked.method not in ("GET", "HEAD"):
        needed.append(f"repository:{name}:push")
    if source := parse_qs(parts.query).get("from"):
        needed.append(f"repository:{source[0]}:pull")
    return needed
