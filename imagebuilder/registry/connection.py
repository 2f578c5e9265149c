"""One HTTP/1.1 connection: send a request, read its answer, be used again."""

from __future__ import annotations

import select
import socket
import struct
from typing import TYPE_CHECKING, Protocol, TypeAlias

from imagebuilder.registry.http1 import (
    CHUNKED,
    HEAD_LIMIT,
    UNTIL_CLOSE,
    Head,
    ProtocolError,
    body_length,
    parse_chunk_size,
    parse_head,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PIECE = 65536
# Takes a connection back; True where it can be used again.
Release: TypeAlias = "Callable[[Connection, bool], None]"


class Monotonic(Protocol):
    """A clock that never goes back."""

    def monotonic(self) -> float:
        """Seconds since some moment."""


class Connection:
    """A socket with what has been read ahead of need; not for two threads at once."""

    __slots__ = ("_buffer", "_clock", "_deadline", "_kernel", "_set", "_sock", "_stall", "begun", "used")

    def __init__(self, sock: socket.socket, *, stall: float, clock: Monotonic) -> None:
        self._sock = sock
        self._buffer = b""
        self._stall = stall
        self._clock = clock
        self._deadline: float | None = None
        self._set: float | None = None
        # Python's own timeouts poll before each call, and hand the interpreter to another thread each time.
        self._kernel = type(sock) is socket.socket
        self.used = False  # an exchange was completed on it
        self.begun = False  # the present answer has begun to arrive

    def exchange(
        self, method: str, head: bytes, body: Iterable[bytes] | None = None, *, deadline: float | None = None
    ) -> tuple[Head, int]:
        """Send a request and read the head of its answer; the length is as `body_length` has it.

        A server may answer and hang up before it has read all of a body: its answer is then still read.

        Raises:
            OSError: the connection broke, stalled, or the answer is not HTTP.
        """
        self._deadline = deadline
        self.begun = False
        self._arm()
        if body is None:
            self._transmit(head)
            return self._read_head(method)
        try:
            self._transmit(head)
            for piece in body:
                self._arm()
                self._transmit(piece)
        except OSError as cut:
            if not self.is_stale():
                raise
            try:
                answer, length = self._read_head(method)
            except OSError:
                raise cut from None
            return answer._replace(keep_alive=False), length
        return self._read_head(method)

    def is_stale(self) -> bool:
        """Whether the server has closed it, or sent what nobody asked for, while it was idle."""
        if self._buffer:
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the socket; never fails."""
        try:
            self._sock.close()
        except OSError:
            return

    def pieces(self, length: int) -> Iterator[bytes]:
        """The body of the answer, in pieces.

        Raises:
            OSError: it ended before it should, or stalled.
        """
        if length == CHUNKED:
            yield from self._chunks()
        elif length == UNTIL_CLOSE:
            if self._buffer:
                yield self._take(len(self._buffer))
            while piece := self._receive():
                yield piece
        else:
            yield from self._exactly(length)

    def _read_head(self, method: str) -> tuple[Head, int]:
        while True:
            head = parse_head(self._until(b"\r\n\r\n", HEAD_LIMIT))
            if head.status >= 200:
                return head, body_length(method, head)
            if head.status == 101:
                raise ProtocolError("the server switched protocols, which was not asked for")

    def _until(self, mark: bytes, limit: int) -> bytes:
        end = self._buffer.find(mark)
        while end < 0:
            if len(self._buffer) > limit:
                raise ProtocolError(f"the answer has a head or line of over {limit} bytes")
            data = self._receive()
            if not data:
                raise ProtocolError("the connection was closed before the answer was complete")
            self.begun = True
            self._buffer = self._buffer + data if self._buffer else data
            end = self._buffer.find(mark)
        taken = self._buffer[:end]
        self._buffer = self._buffer[end + len(mark) :]
        return taken

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length:
            piece = self._take(min(length, len(self._buffer))) if self._buffer else self._receive()
            if not piece:
                raise ProtocolError(f"the connection was closed {length} bytes before the end of the answer")
            if len(piece) > length:
                self._buffer = piece[length:]
                piece = piece[:length]
            length -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := parse_chunk_size(self._until(b"\r\n", HEAD_LIMIT)):
            yield from self._exactly(size)
            if self._until(b"\r\n", HEAD_LIMIT):
                raise ProtocolError("a chunk of the answer is longer than it says")
        while self._until(b"\r\n", HEAD_LIMIT):  # trailers mean nothing to us
            pass

    def _take(self, count: int) -> bytes:
        taken = self._buffer[:count]
        self._buffer = self._buffer[count:]
        return taken

    def _receive(self) -> bytes:
        self._arm()
        try:
            return self._sock.recv(PIECE)
        except BlockingIOError:
            raise TimeoutError("timed out") from None

    def _transmit(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except BlockingIOError:
            raise TimeoutError("timed out") from None

    def _arm(self) -> None:
        timeout = self._stall
        if self._deadline is not None:
            left = self._deadline - self._clock.monotonic()
            if left <= 0:
                raise TimeoutError("the time for this operation is over")
            timeout = min(timeout, left)
        if timeout != self._set:
            self._set = timeout
            if not self._kernel:
                self._sock.settimeout(timeout)
                return
            self._sock.settimeout(None)
            timeval = struct.pack("ll", int(timeout), max(1, int(timeout % 1 * 1_000_000)))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


class Response:
    """An answer whose body may still be on its way; read it or close it, so that the connection is free again."""

    __slots__ = ("_connection", "_keep", "_length", "_release", "headers", "status")

    def __init__(self, head: Head, length: int, connection: Connection, release: Release) -> None:
        self.status = head.status
        self.headers = head.headers
        self._connection: Connection | None = connection
        self._release = release
        self._length = length
        self._keep = head.keep_alive and length != UNTIL_CLOSE
        if length == 0:
            self._done()

    def stream(self) -> Iterator[bytes]:
        """The body in pieces, once.

        Raises:
            OSError: it ended before it should, or stalled.
        """
        connection = self._connection
        if connection is None:
            return
        try:
            yield from connection.pieces(self._length)
            self._done()
        finally:
            self.close()

    def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            OSError: it is longer than `limit`, ended before it should, or stalled.
        """
        if self._connection is None:
            return b""
        if self._length > limit:
            self.close()
            raise ProtocolError(f"the answer has {self._length} bytes, more than the {limit} it may have")
        pieces = []
        total = 0
        for piece in self.stream():
            total += len(piece)
            if total > limit:
                self.close()
                raise ProtocolError(f"the answer has more than the {limit} bytes it may have")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def discard(self) -> None:
        """Read a short rest so that the connection lives on; drop it where the rest is long."""
        if self._connection is None:
            return
        try:
            self.read(PIECE)
        except OSError:
            self.close()

    def close(self) -> None:
        """Give the connection up if the body was not read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._release(connection, False)  # noqa: FBT003 - a callback's one argument

    def _done(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.used = True
            self._release(connection, self._keep)
