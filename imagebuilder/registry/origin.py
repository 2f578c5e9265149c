"""Where a request goes: `Origin`, and URLs taken apart without changing a byte of them."""

from __future__ import annotations

from typing import NamedTuple

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port: what a credential is for (RFC 6454); an IPv6 host has no brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host[:port]` as the Host header wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this very machine."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @classmethod
    def at(cls, scheme: str, authority: str) -> Origin:
        """Parse `host[:port]`.

        Raises:
            ValueError: it is not one, or has a user name in it.
        """
        if scheme not in _PORTS:
            raise ValueError(f"{scheme}:// is neither http nor https")
        if "@" in authority:
            raise ValueError("there is a user name in the address")
        host, port = _split_port(authority)
        host = host.lower().removeprefix("[").removesuffix("]")
        if not host or any(char <= " " or char in '/\\?#%<>"' for char in host):
            raise ValueError(f"{authority!r} is not a host")
        if not port:
            return cls(scheme, host, _PORTS[scheme])
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{port!r} is not a port")
        return cls(scheme, host, int(port))


class Location(NamedTuple):
    """A URL: its origin, and its path and query exactly as they were written."""

    origin: Origin
    target: str

    def __str__(self) -> str:
        # Queries of signed URLs are secrets: messages show the path alone.
        return f"{self.origin}{self.target.partition('?')[0]}"

    @classmethod
    def parse(cls, url: str) -> Location:
        """Take an absolute URL apart.

        Raises:
            ValueError: it is not an http or https URL.
        """
        scheme, separator, rest = url.partition("://")
        if not separator:
            raise ValueError(f"{url[:200]!r} is not an absolute URL")
        end = min((index for index in (rest.find(char) for char in "/?#") if index >= 0), default=len(rest))
        target = rest[end:].partition("#")[0]
        if not target.startswith("/"):
            target = f"/{target}"
        if any(char <= " " or char == "\x7f" for char in target):
            raise ValueError("there are spaces or control characters in the URL")
        return cls(Origin.at(scheme.lower(), rest[:end]), target)

    def join(self, reference: str) -> Location:
        """Resolve a Location header against this URL (RFC 3986 section 5); its bytes stay as they are.

        Raises:
            ValueError: it is not an http or https URL.
        """
        head = reference.partition("?")[0].partition("#")[0]
        if "://" in head:
            return Location.parse(reference)
        if reference.startswith("//"):
            return Location.parse(f"{self.origin.scheme}:{reference}")
        path = self.target.partition("?")[0]
        if not reference.startswith("/"):
            reference = f"{path}{reference}" if head == "" else f"{path.rpartition('/')[0]}/{reference}"
        return Location.parse(f"{self.origin}{reference}")

    def with_query(self, query: str) -> Location:
        """Add a parameter behind those that are there: an upload's state lives in them."""
        separator = "&" if "?" in self.target else "?"
        return Location(self.origin, f"{self.target}{separator}{query}")


def is_loopback(host: str) -> bool:
    """Whether a host, without port, is this very machine: localhost, 127.0.0.0/8 or ::1."""
    if host in ("localhost", "::1") or host.endswith(".localhost"):
        return True
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isascii() and part.isdigit() for part in parts)


def _split_port(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, _, rest = authority.partition("]")
        if rest and not rest.startswith(":"):
            raise ValueError(f"{authority!r} is not a host")
        return host, rest[1:]
    host, _, port = authority.partition(":")
    return host, port
