"""What a registry's error answers say (OCI distribution-spec "Error Codes")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_LIMIT = 1 << 20
_SHOWN = 300
API_HEADER = "docker-distribution-api-version"
_REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
            409: "Conflict", 413: "Payload Too Large", 429: "Too Many Requests", 500: "Internal Server Error",
            502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}  # fmt: skip


class Failure(NamedTuple):
    """An error answer: status, the registry's codes, and one line for people."""

    status: int
    codes: tuple[str, ...]
    text: str
    from_registry: bool


def read_failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Understand an error answer; `from_registry` is False for pages of proxies, portals and other sites."""
    entries = _entries(body)
    html = "html" in headers.get("content-type", "")
    genuine = not html and (bool(entries) or API_HEADER in headers)
    said = "; ".join(dict.fromkeys(": ".join(filter(None, entry)) for entry in entries))
    if not said and body and not html and body.isascii():
        said = body.decode()
    head = f"{status} {_REASONS.get(status, '')}".strip()
    return Failure(
        status, tuple(code for code, _ in entries if code), f"{head} ({_line(said)})" if said else head, genuine
    )


def _entries(body: bytes) -> list[tuple[str, str]]:
    """Code and message of each error; some services use `details` (harbor) or a bare message in their place."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return []
    errors = value.get("errors") if isinstance(value, dict) else None
    if not isinstance(errors, list):
        return []
    return [_entry(error) for error in errors[:5] if isinstance(error, dict)]


def _entry(error: dict[str, object]) -> tuple[str, str]:
    code, message, detail = error.get("code"), error.get("message"), error.get("detail")
    text = message if isinstance(message, str) else ""
    if isinstance(detail, str) and detail and detail not in text:
        text = f"{text} ({detail})" if text else detail
    return (str(code) if code else "", text)


def _line(text: str) -> str:
    """One printable line: what a stranger's server says must not steer a terminal."""
    line = "".join(char if char.isprintable() else " " for char in text[: 2 * _SHOWN])
    line = " ".join(line.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
