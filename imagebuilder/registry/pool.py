"""Connections to one origin, kept for the next request."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from imagebuilder.registry.connection import Connection, Response
from imagebuilder.registry.dial import Dialer
from imagebuilder.registry.http1 import request_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imagebuilder.registry.clock import Clock
    from imagebuilder.registry.origin import Origin
    from imagebuilder.registry.settings import RegistrySettings

_REPEATABLE = frozenset({"GET", "HEAD", "DELETE", "POST"})  # POST only starts uploads and fetches tokens here


class Pool:
    """At most `connections` connections to one origin; the last one used is the first to be used again."""

    def __init__(self, settings: RegistrySettings, origin: Origin, clock: Clock, *, asked: bool) -> None:
        self.origin = origin
        self._dialer = Dialer(settings, origin, clock, asked=asked)
        self._clock = clock
        self._idle: deque[Connection] = deque()
        self._places = threading.Semaphore(settings.connections)
        self._host = origin.authority
        self._prefix, self._proxy_headers = "", ""
        proxy = self._dialer.proxy
        if proxy and origin.scheme == "http":  # absolute form (RFC 9112 section 3.2.2)
            self._prefix = str(origin)
            if proxy.authorization:
                self._proxy_headers = f"Proxy-Authorization: {proxy.authorization}\r\n"
        self._closed = False

    def send(
        self,
        method: str,
        target: str,
        headers: str,
        body: Callable[[], Iterable[bytes]] | None = None,
        *,
        deadline: float | None = None,
    ) -> Response:
        """Send one request; a kept connection that turns out dead is replaced at once (RFC 9112 section 9.3.1).

        Raises:
            OSError: no answer came.
        """
        head = request_head(method, self._prefix + target, self._host, self._proxy_headers + headers)
        wait = None if deadline is None else max(0.0, deadline - self._clock.monotonic())
        if not self._places.acquire(timeout=wait):
            raise TimeoutError(f"no connection to {self._host} was free in time")
        connection: Connection | None = None
        try:
            while True:
                connection = self._take(fresh_only=method not in _REPEATABLE)
                try:
                    answer, length = connection.exchange(method, head, body() if body else None, deadline=deadline)
                except TimeoutError:
                    raise
                except OSError:  # TLS has errors of its own for a connection that is gone
                    if not connection.used or connection.begun or method not in _REPEATABLE:
                        raise
                    connection.close()
                else:
                    return Response(answer, length, connection, self._release)
        except BaseException:
            if connection is not None:
                connection.close()
            self._places.release()
            raise

    def close(self) -> None:
        """Close the connections that are not in use; those in use close when they are given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _take(self, *, fresh_only: bool) -> Connection:
        while True:
            connection = self._pop()
            if connection is None:
                return self._dialer.dial()
            if not (fresh_only and connection.is_stale()):
                return connection
            connection.close()

    def _pop(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:  # asking first whether one is there would be a race
            return None

    def _release(self, connection: Connection, keep: bool) -> None:
        if keep and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        self._places.release()
