"""An HTTP server on this machine around a registry in memory: `MemoryRegistry`."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, final

from imagebuilder.registry.memory.contents import Answer, Asked, Contents
from imagebuilder.registry.memory.fault import Fault, Seen
from imagebuilder.registry.memory.tokens import PATH as TOKEN_PATH

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from imagebuilder.registry.memory.tokens import TokenService

_PIECE = 1 << 16


@final
class MemoryRegistry:
    """A registry on 127.0.0.1, up while its context lasts; plain http and anonymous without `tls` and `tokens`.

    `host` is what references name. `seen` are all requests in the order of their arrival; `fault` adds a rule.
    """

    def __init__(
        self,
        *,
        tokens: TokenService | None = None,
        immutable_tags: bool = False,
        referrers: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.contents = Contents(immutable_tags=immutable_tags, referrers=referrers)
        self.tokens = tokens
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.api_header = True
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.registry = self
        self._server.tls = tls
        self.port = int(self._server.server_address[1])
        self.host = f"127.0.0.1:{self.port}"
        self.base = f"{'https' if tls else 'http'}://{self.host}"

    def __enter__(self) -> MemoryRegistry:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_all()

    def fault(self, fault: Fault) -> Fault:
        """Let requests fail; rules are tried in the order in which they came."""
        with self._lock:
            self.faults.append(fault)
        return fault

    def requests(self, method: str = "", part: str = "") -> list[Seen]:
        """The requests seen of a method, with `part` in their path."""
        return [seen for seen in list(self.seen) if seen.method == (method or seen.method) and part in seen.path]

    def note(self, seen: Seen) -> Fault | None:
        """Keep a request, and say what is to go wrong with it."""
        with self._lock:
            self.seen.append(seen)
            return next((fault for fault in self.faults if fault.takes(seen.method, seen.path)), None)

    def answer(self, asked: Asked) -> Answer:
        """The true answer to a request."""
        if self.tokens:
            if asked.path.partition("?")[0] == TOKEN_PATH:
                return self.tokens.answer(asked)
            if refusal := self.tokens.refusal(asked, self.base):
                return refusal
        return self.contents.answer(asked)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    registry: MemoryRegistry
    tls: ssl.SSLContext | None = None

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        sock, address = self.socket.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:  # the handshake is made by the handler's thread, at its first read
            sock = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._open.add(sock)
        return sock, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        for sock in list(self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what many tests want."""


class _Cut(Exception):  # noqa: N818 - control flow
    """The connection is to be reset."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = 30.0
    wbufsize = -1
    server: _Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        try:
            self._serve()
        except _Cut:
            self.close_connection = True
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        else:
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has in the library
        """Tests are quiet."""

    def _serve(self) -> None:
        registry = self.server.registry
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", "0"))
        fault = registry.note(Seen(self.command, self.path, headers, length)) or Fault()
        if fault.delay:
            time.sleep(fault.delay)
        if fault.reset:
            self._read(fault.read or 0)
            raise _Cut
        if fault.read is not None:
            self._read(fault.read)
            self.close_connection = True
            answer = Answer(fault.status or 500, {}, fault.body)
        else:
            body = self._read(length)
            if fault.status is not None:
                answer = Answer(fault.status, {}, fault.body)
            else:
                answer = registry.answer(Asked(self.command, self.path, headers, body))
        if fault.lose:
            raise _Cut
        self._reply(answer, fault)

    def _reply(self, answer: Answer, fault: Fault) -> None:
        headers: dict[str, str | None] = {"Content-Length": str(len(answer.body)), **answer.headers}
        if self.server.registry.api_header:
            headers.setdefault("Docker-Distribution-Api-Version", "registry/2.0")
        headers.update(fault.headers)
        lines = [f"HTTP/1.1 {answer.status} Because"]
        for name, value in headers.items():
            lines += [f"{name}: {line}" for line in value.split("\n")] if value is not None else []
        head = "\r\n".join([*lines, "", ""]).encode()
        body = b"" if self.command == "HEAD" else answer.body
        if fault.corrupt and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault.stall:
            self.wfile.write(head[: len(head) // 2])
            self.wfile.flush()
            time.sleep(fault.stall)
            raise _Cut
        self.wfile.write(head)
        if fault.truncate:
            self.wfile.write(body[: -fault.truncate])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(body)

    def _read(self, length: int) -> bytes:
        pieces = []
        while length > 0 and (piece := self.rfile.read1(min(_PIECE, length))):
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)
