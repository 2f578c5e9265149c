"""What is left on the disk by kills, and by processes side by side."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING

from imagebuilder.packages import Fetcher, LockedFile, Logins, WheelStore
from imagebuilder.registry.settings import RegistrySettings

from .conftest import Server, locked

if TYPE_CHECKING:
    import http.server
    from pathlib import Path

DATA = bytes(range(256)) * 4000
NAME = "thing-1.0-py3-none-any.whl"


def fetch(folder: Path, files: list[LockedFile]) -> tuple[Path, ...]:
    with Fetcher(WheelStore(folder), RegistrySettings(), Logins([])) as fetcher:
        return fetcher.fetch(files)


def test_a_kill_leaves_nothing_that_counts_and_the_rest_is_swept(server: Server, tmp_path: Path) -> None:
    started = threading.Event()

    def hang(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:500_000])
        handler.wfile.flush()
        started.set()
        time.sleep(3)

    server.answers[f"/{NAME}"] = hang
    digest = hashlib.sha256(DATA).hexdigest()
    code = f"""
        from imagebuilder.packages import *
        from imagebuilder.registry.settings import RegistrySettings
        fetcher = Fetcher(WheelStore({str(tmp_path)!r}), RegistrySettings(), Logins([]))
        fetcher.fetch([LockedFile({NAME!r}, {digest!r}, url="{server.url}/{NAME}")])
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    assert started.wait(10)
    while not any(part.stat().st_size for part in (tmp_path / "parts").glob("*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = list((tmp_path / "parts").iterdir())
    assert len(left) == 1
    now = left[0].stat().st_mtime
    WheelStore(tmp_path, clock=lambda: now + 60).sweep()
    assert left[0].exists()
    WheelStore(tmp_path, clock=lambda: now + 7200).sweep()
    assert not left[0].exists()
    file = locked(NAME, DATA, server.gives(f"/{NAME}", DATA))
    assert fetch(tmp_path, [file])[0].read_bytes() == DATA


def test_processes_side_by_side(server: Server, tmp_path: Path) -> None:
    contents = {f"p{n}-1-py3-none-any.whl": os.urandom(200_000) for n in range(6)}
    files = [locked(name, data, server.gives(f"/{name}", data)) for name, data in contents.items()]
    wanted = [(file.name, file.sha256, file.url) for file in files]
    code = f"""
        from imagebuilder.packages import *
        from imagebuilder.registry.settings import RegistrySettings
        fetcher = Fetcher(WheelStore({str(tmp_path)!r}), RegistrySettings(), Logins([]))
        fetcher.fetch([LockedFile(name, sha, url=url) for name, sha, url in {wanted!r}])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    paths = fetch(tmp_path, files)
    assert [path.read_bytes() for path in paths] == list(contents.values())
    assert list((tmp_path / "parts").iterdir()) == []
