"""Which requests go through a proxy (the usual HTTP_PROXY, HTTPS_PROXY and NO_PROXY)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.errors import ConfigError
from imagebuilder.registry.origin import Origin
from imagebuilder.spec.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping


class Proxy(Value):
    """A proxy that is spoken to in plain HTTP; `authorization` is its header's value, kept out of messages."""

    origin: Origin
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.origin})"

    @classmethod
    def parse(cls, url: str, variable: str) -> Proxy:
        """Read a proxy variable.

        Raises:
            ConfigError: it is not the URL of an http proxy. The message leaves the URL out: it may hold a password.
        """
        scheme, separator, rest = url.partition("://")
        if not separator:
            scheme, rest = "http", url
        user, at, authority = rest.rstrip("/").rpartition("@")
        hint = f"write {variable}=http://host:port"
        if scheme.lower() != "http":
            raise ConfigError(f"{variable} is not a proxy we can use: {scheme}:// is not supported", hint=hint)
        try:
            origin = Origin.at("http", authority)
        except ValueError as error:
            raise ConfigError(f"{variable} is not a proxy we can use: {error}", hint=hint) from None
        return cls(origin, _basic(user) if at else None)


class Proxies(Value):
    """The proxies for http and https, and the hosts that are reached without."""

    http: Proxy | None = None
    https: Proxy | None = None
    direct: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Proxies:
        """Read the variables; the lower-case spelling wins, as in curl.

        Raises:
            ConfigError: one of them is not a proxy we can use.
        """
        found: dict[str, Proxy | None] = {}
        for scheme in ("http", "https"):
            name = f"{scheme}_proxy"
            value = environ.get(name) or environ.get(name.upper())
            found[scheme] = Proxy.parse(value, name.upper()) if value else None
        direct = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        entries = tuple(entry.strip().lower() for entry in direct.split(",") if entry.strip())
        return cls(found["http"], found["https"], entries)

    def for_origin(self, origin: Origin) -> Proxy | None:
        """The proxy for an origin; never one for this machine."""
        proxy = self.https if origin.scheme == "https" else self.http
        if proxy is None or origin.is_loopback or any(_matches(entry, origin) for entry in self.direct):
            return None
        return proxy


def _matches(entry: str, origin: Origin) -> bool:
    """A NO_PROXY entry: `*`, a name with all below it, an address, a range, each with a port or without."""
    if entry == "*":
        return True
    if "/" in entry:
        return _in_range(entry, origin.host)
    if entry.count(":") <= 1 or entry.startswith("["):
        host, _, port = entry.rpartition(":") if not entry.endswith("]") and ":" in entry else (entry, "", "")
        if port and port != str(origin.port):
            return False
        entry = host.strip("[]")
    bare = entry.removeprefix("*").removeprefix(".")
    return origin.host == bare or (bool(bare) and origin.host.endswith(f".{bare}"))


def _in_range(entry: str, host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _basic(user: str) -> str:
    from base64 import b64encode
    from urllib.parse import unquote_to_bytes

    return f"Basic {b64encode(unquote_to_bytes(user)).decode()}"
