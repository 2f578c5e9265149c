from __future__ import annotations

import base64
import hashlib
import http.server
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from imagebuilder.packages import PythonTarget
from imagebuilder.packages.locked import LockedFile
from imagebuilder.spec.platform import Platform

if TYPE_CHECKING:
    from pathlib import Path

AMD64 = Platform.parse("linux/amd64")
ARM64 = Platform.parse("linux/arm64")


def target(
    version: tuple[int, int] | tuple[int, int, int] = (3, 11),
    platform: Platform = AMD64,
    glibc: tuple[int, int] | None = (2, 36),
    musl: tuple[int, int] | None = None,
) -> PythonTarget:
    return PythonTarget(version, platform, None if musl else glibc, musl)


def make_wheel(
    folder: Path, name: str, version: str, requires: tuple[str, ...] = (), tag: str = "py3-none-any"
) -> Path:
    """A real wheel with one module."""
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {
        f"{stem}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}\n"
        for path, text in files.items()
    ]
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for at, text in files.items():
            archive.writestr(zipfile.ZipInfo(at, (1980, 1, 1, 0, 0, 0)), text)
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def locked(name: str, data: bytes, url: str | None = None, **more: object) -> LockedFile:
    return LockedFile(name, sha256(data), url=url, **more)  # type: ignore[arg-type]


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """An index on this machine that answers as a test says, and remembers who asked with what."""

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def gives(self, path: str, data: bytes, *, content_type: str = "application/octet-stream") -> str:
        def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
            reply(handler, 200, data, content_type=content_type)

        self.answers[path] = answer
        return f"{self.url}{path}"


def reply(handler: http.server.BaseHTTPRequestHandler, status: int, data: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(data)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(data)


class QuietServer(http.server.ThreadingHTTPServer):
    """Clients that hang up are what these tests are about."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture
def make_server() -> Iterator[Callable[[], Server]]:
    running: list[http.server.ThreadingHTTPServer] = []

    def start() -> Server:
        server = Server()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                server.asked.append((path, self.headers.get("Authorization")))
                answer = server.answers.get(path)
                if answer:
                    answer(self)
                else:
                    reply(self, 404)

            do_HEAD = do_GET  # noqa: N815 - the name http.server looks for

            def log_message(self, *args: object) -> None:
                pass

        one = QuietServer(("127.0.0.1", 0), Handler)
        one.daemon_threads = True
        threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
        running.append(one)
        server.url = f"http://127.0.0.1:{one.server_address[1]}"
        return server

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


@pytest.fixture
def server(make_server: Callable[[], Server]) -> Server:
    return make_server()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(tmp_path / "home"), "UV_CACHE_DIR": str(tmp_path / "uv-cache")}


@pytest.fixture
def links(tmp_path: Path) -> Path:
    folder = tmp_path / "links"
    make_wheel(folder, "zq-a", "1.0")
    make_wheel(folder, "zq-a", "2.0")
    make_wheel(folder, "zq-a", "3.0rc1")
    make_wheel(folder, "zq-b", "1.0", ("zq-a>=1",))
    make_wheel(folder, "zq-c", "1.0", ("zq-a>=2",))
    return folder
