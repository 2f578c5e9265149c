"""What a 401 asks for: WWW-Authenticate, parsed and chosen from (RFC 9110 section 11.6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.registry.origin import Location
from imagebuilder.registry.redirect import is_forbidden_address

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's name for a word
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}|[^\s,"]+))\s*', re.DOTALL)
_SCHEME = re.compile(rf"\s*({_TOKEN})(?=\s|,|$)\s*")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))")


@dataclass(frozen=True)
class Challenge:
    """One scheme a server accepts, lower-case, with its parameters."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Parse one header, or several joined by commas; what makes no sense is passed over."""
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(header):
        if header[at] in ", \t":
            at += 1
        elif found and (parameter := _PARAMETER.match(header, at)):
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].setdefault(name.lower(), value)
            at = parameter.end()
        elif scheme := _SCHEME.match(header, at):
            found.append((scheme[1].lower(), {}))
            at = scheme.end()
            if token68 := _TOKEN68.match(header, at):
                at = token68.end()
        else:  # to the next comma
            comma = header.find(",", at)
            at = len(header) if comma < 0 else comma + 1
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def choose(challenges: tuple[Challenge, ...]) -> Challenge | None:
    """Bearer where it can be used, else Basic; other schemes are passed over."""
    for challenge in challenges:
        if challenge.scheme == "bearer" and realm_problem(challenge.parameters.get("realm", "")) is None:
            return challenge
    return next((challenge for challenge in challenges if challenge.scheme == "basic"), None)


def realm_problem(realm: str) -> str | None:
    """Why no credentials are sent to a token realm; None where they may be."""
    try:
        origin = Location.parse(realm).origin
    except ValueError as error:
        return f"its token realm is no URL: {error}"
    if is_forbidden_address(origin.host):
        return f"its token realm is at the link-local or metadata address {origin.host}"
    if origin.scheme == "http" and not origin.is_loopback:
        return f"its token realm {origin} is plain http"
    return None


def refusal(challenges: tuple[Challenge, ...]) -> str:
    """Why none of the challenges can be answered."""
    for challenge in challenges:
        problem = realm_problem(challenge.parameters.get("realm", "")) if challenge.scheme == "bearer" else None
        if problem:
            return problem
    schemes = ", ".join(challenge.scheme for challenge in challenges)
    return f"it asks for {schemes}, which we do not speak" if schemes else "it does not say how to log in"
