"""Which index has which credentials, for fetching what was resolved."""

from __future__ import annotations

import contextlib
import os
import re
from base64 import b64encode
from typing import TYPE_CHECKING

from imagebuilder.errors import SpecError
from imagebuilder.registry.origin import Location
from imagebuilder.sources.material import Text
from imagebuilder.spec.credential import Credential, Index
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imagebuilder.sources.material import Material
    from imagebuilder.spec.layers import PipOptions

_OPTION = re.compile(r"--(?:extra-)?index-url\s+(?P<url>\S+)", re.MULTILINE)
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)=(?P<url>https?://.+)")


def logins_of(options: PipOptions, material: Material | None, variables: Mapping[str, str]) -> Iterator[Index]:
    """Every index of a layer that has credentials: its own, and those whose credentials are in secret variables."""
    yield from (index for index in options.indexes if index.credential)
    if not variables:
        return
    named = dict(_named_indexes(material))
    named |= {found["name"]: found["url"] for word in options.extra_args if (found := _NAMED.fullmatch(word))}
    for name, url in named.items():
        variable = f"UV_INDEX_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"
        username, password = (variables.get(f"{variable}_{part}", "") for part in ("USERNAME", "PASSWORD"))
        if username or password:
            yield Index(url, Credential(username, password))
    for text in _texts(material):
        for found in _OPTION.finditer(text):
            url = _VARIABLE.sub(lambda name: variables.get(name[1], name[0]), found["url"])
            with contextlib.suppress(SpecError):  # uv says what is wrong with it
                index = Index.parse(url, "a requirements file")
                if index.credential:
                    yield index


def _texts(material: Material | None) -> Iterator[str]:
    for at, piece in material.pieces if material else ():
        if isinstance(piece, Text) and at.endswith(".txt"):
            yield piece.data.decode()


def _named_indexes(material: Material | None) -> Iterator[tuple[str, str]]:
    for at, piece in material.pieces if material else ():
        name = at.rpartition("/")[2]
        if not isinstance(piece, Text) or name not in ("pyproject.toml", "uv.toml"):
            continue
        with contextlib.suppress(SpecError):
            data = load_toml(piece.data.decode(), at)
            tool = data if name == "uv.toml" else data.get("tool", {}).get("uv", {})
            for index in tool.get("index", []):
                if isinstance(index, dict) and isinstance(index.get("name"), str):
                    yield index["name"], str(index.get("url"))


def _shared(one: str, other: str) -> int:
    """How many segments two paths begin with in common."""
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(one.count("/"), other.count("/")))


class Logins:
    """Credentials by where they are valid: an origin (RFC 6454), and of several indexes there the nearest path."""

    def __init__(self, indexes: Iterable[Index], netrc: str | os.PathLike[str] | None = None) -> None:
        self._known: list[tuple[Location, Credential]] = []
        for index in indexes:
            if index.credential and index.url.startswith(("http://", "https://")):
                self._known.append((Location.parse(index.url), index.credential))
        self._netrc = netrc

    def authorization(self, location: Location) -> str:
        """The header line for a request, empty where no credential is known for its origin."""
        found = self._find(location)
        if found is None:
            return ""
        token = b64encode(f"{found.username}:{found.password}".encode()).decode()
        return f"Authorization: Basic {token}\r\n"

    def _find(self, location: Location) -> Credential | None:
        there = [(index.target, credential) for index, credential in self._known if index.origin == location.origin]
        if there:
            return max(there, key=lambda known: _shared(known[0], location.target))[1]
        return self._from_netrc(location.origin.host)

    def _from_netrc(self, host: str) -> Credential | None:
        if self._netrc is None:
            return None
        from netrc import NetrcParseError, netrc

        try:
            found = netrc(os.fspath(self._netrc)).authenticators(host)
        except (OSError, NetrcParseError, UnicodeDecodeError):
            return None  # as uv does; what needs it is then refused, and says so
        return Credential(found[0], found[2] or "") if found else None
