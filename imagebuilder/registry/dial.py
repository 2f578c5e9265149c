"""Open a connection to an origin: addresses, proxy, TLS."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

from imagebuilder.registry.connection import Connection
from imagebuilder.registry.http1 import ProtocolError, request_head
from imagebuilder.registry.redirect import is_forbidden_address

if TYPE_CHECKING:
    import ssl

    from imagebuilder.registry.clock import Clock
    from imagebuilder.registry.origin import Origin
    from imagebuilder.registry.proxy import Proxy
    from imagebuilder.registry.settings import RegistrySettings


class ForbiddenAddressError(ConnectionError):
    """A redirect leads to a name whose address is link-local or a metadata service."""


class Unreachable(ConnectionError):  # noqa: N818 - never leaves this package
    """No connection came about: unknown host, refused, or no answer in time."""


class Dialer:
    """Opens connections to one origin; `asked` where the user named it, not some redirect."""

    def __init__(self, settings: RegistrySettings, origin: Origin, clock: Clock, *, asked: bool) -> None:
        self._settings = settings
        self._origin = origin
        self._clock = clock
        self._asked = asked
        self._proxy = settings.proxies.for_origin(origin)
        self._context: ssl.SSLContext | None = None
        self._reading = threading.Lock()  # reading the authorities takes longer than waiting for who reads them

    @property
    def proxy(self) -> Proxy | None:
        """The proxy that connections to this origin go through."""
        return self._proxy

    def dial(self) -> Connection:
        """Open a connection, within the connect timeout.

        Raises:
            OSError: it did not come about.
            ConfigError: a certificate file cannot be used.
        """
        # Read before connecting, so that a broken file is not taken for a broken network.
        context = self._tls() if self._origin.scheme == "https" else None
        deadline = self._clock.monotonic() + self._settings.connect_timeout
        target = self._proxy.origin if self._proxy else self._origin
        sock = self._connect(target, deadline)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                if self._proxy:
                    self._tunnel(sock, self._proxy)
                sock.settimeout(max(0.1, deadline - self._clock.monotonic()))
                sock = context.wrap_socket(sock, server_hostname=self._origin.host)
        except BaseException:
            sock.close()
            raise
        return Connection(sock, stall=self._settings.stall_timeout, clock=self._clock)

    def _connect(self, target: Origin, deadline: float) -> socket.socket:
        try:
            addresses = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unreachable(f"the host {target.host} has no address: {error.strerror or error}") from error
        failure: OSError | None = None
        for index, (family, kind, protocol, _, address) in enumerate(addresses):
            if not self._asked and is_forbidden_address(str(address[0])):
                raise ForbiddenAddressError(f"{target.host} has the link-local or metadata address {address[0]}")
            left = deadline - self._clock.monotonic()
            if left <= 0:
                break
            sock = socket.socket(family, kind, protocol)
            # An address that swallows packets must leave time for the next one.
            sock.settimeout(left / (len(addresses) - index))
            try:
                sock.connect(address)
            except OSError as error:
                failure = error
                sock.close()
            else:
                return sock
        why = failure.strerror or str(failure) if failure else "no answer"
        raise Unreachable(f"no connection to {target.authority}: {why}") from failure

    def _tunnel(self, sock: socket.socket, proxy: Proxy) -> None:
        """Ask the proxy for a tunnel (RFC 9110 section 9.3.6)."""
        authority = self._origin.authority if ":" in self._origin.authority else f"{self._origin.authority}:443"
        headers = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        connection = Connection(sock, stall=self._settings.connect_timeout, clock=self._clock)
        head, _ = connection.exchange("HEAD", request_head("CONNECT", authority, authority, headers))
        if head.status != 200:
            raise Unreachable(f"the proxy {proxy.origin} answered {head.status} to CONNECT {authority}")
        if connection.is_stale():
            raise ProtocolError(f"the proxy {proxy.origin} sent data before the tunnel was used")

    def _tls(self) -> ssl.SSLContext:
        with self._reading:
            if self._context is None:
                from imagebuilder.registry.tls import context_for

                self._context = context_for(self._settings, self._origin.authority)
            return self._context
