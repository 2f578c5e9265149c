"""Asking a token service: requests and answers, without any I/O (distribution's "Token Authentication")."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.registry.origin import Location

if TYPE_CHECKING:
    from imagebuilder.registry.challenge import Challenge
    from imagebuilder.registry.credential import Credential
    from imagebuilder.registry.scope import Scopes

CLIENT_ID = "imagebuilder"
ANSWER_LIMIT = 1 << 20
# A shorter life counts as this ("For compatibility with older clients, a token should never be returned with less").
_SHORTEST_LIFE = 60.0
_EARLY = 5.0
# Services that refuse the OAuth2 POST: GCR says 404, Artifactory 401, Azure 400, others 405.
_POST_REFUSED = frozenset({400, 401, 404, 405})


@dataclass(frozen=True)
class TokenRequest:
    """A request to a token service; `authorization` and `body` hold secrets."""

    method: str
    location: Location
    headers: str = ""
    authorization: str = field(default="", repr=False)
    body: bytes | None = field(default=None, repr=False)

    def pieces(self) -> tuple[bytes, ...]:
        """The body as requests take it."""
        return (self.body or b"",)


@dataclass(frozen=True)
class Token:
    """A bearer token; `expires` on the monotonic clock."""

    value: str = field(repr=False)
    expires: float

    @property
    def refresh_at(self) -> float:
        """When to fetch another: a little early, so that it lives through a request."""
        return self.expires - _EARLY


def token_requests(challenge: Challenge, scopes: Scopes, credential: Credential | None) -> tuple[TokenRequest, ...]:
    """The requests to try, in order: an identity token is POSTed first, and sent by GET where that is refused.

    Raises:
        ValueError: the realm is not a URL.
    """
    realm = Location.parse(challenge.parameters.get("realm", ""))
    service = challenge.parameters.get("service", "")
    query = [("service", service)] if service else []
    query += [("scope", scope) for scope in scopes]
    if credential is None:
        return (TokenRequest("GET", _with(realm, query)),)
    if credential.identity_token:
        form = [("grant_type", "refresh_token"), ("service", service), ("client_id", CLIENT_ID)]
        form += [("scope", " ".join(scopes)), ("refresh_token", credential.identity_token)]
        body = _encode(form).encode()
        headers = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        authorization = _authorization(credential.username, credential.identity_token)
        return (
            TokenRequest("POST", realm, headers, body=body),
            TokenRequest("GET", _with(realm, query), authorization=authorization),
        )
    query.insert(0, ("account", credential.username))
    return (TokenRequest("GET", _with(realm, query), "", _authorization(credential.username, credential.password)),)


def is_post_refused(status: int) -> bool:
    """Whether a service's answer means that it does not take identity tokens by POST."""
    return status in _POST_REFUSED


def parse_token(body: bytes, now: float) -> Token:
    """Read a token service's answer; `now` is the monotonic time at which it was asked.

    Raises:
        ValueError: there is no usable token in it. The message never holds what was received.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - one kind for bad answers
    value = answer.get("token") or answer.get("access_token")
    if not isinstance(value, str) or not value:
        raise ValueError("it has neither token nor access_token")
    if not value.isascii() or any(char <= " " or char == "\x7f" for char in value):
        raise ValueError("its token has characters that no header can hold")
    life = answer.get("expires_in")
    seconds = float(life) if isinstance(life, (int, float)) and not isinstance(life, bool) else 0.0
    return Token(value, now + max(_SHORTEST_LIFE, min(seconds, 86400.0)))


def basic(username: str, password: str) -> str:
    """The value of a Basic Authorization header (RFC 7617)."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


def _authorization(username: str, secret: str) -> str:
    return f"Authorization: {basic(username, secret)}\r\n"


def _with(realm: Location, query: list[tuple[str, str]]) -> Location:
    return realm.with_query(_encode(query)) if query else realm


def _encode(pairs: list[tuple[str, str]]) -> str:
    from urllib.parse import quote

    return "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
