"""A push to a real registry that is killed in its middle: the tag stays, and what arrived is not sent again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from imagebuilder.registry import Client, MemoryStore, push
from imagebuilder.registry import media_types as types
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Forge

STUCK_AFTER = 5_000_000
SMALL = 3  # two layers and the config


class Relay:
    """Passes bytes on to a registry; after `hold` a connection that has sent many of them gets stuck, until `release`.

    `ready` is set when one is stuck and `SMALL` blobs have arrived.
    """

    def __init__(self, registry: str) -> None:
        host, _, port = registry.partition(":")
        self._registry = (host, int(port or 80))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.ready = threading.Event()
        self._free = threading.Event()
        self._free.set()
        self._stuck = False
        self._arrived = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def hold(self) -> None:
        self._arrived = 0
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def close(self) -> None:
        self._free.set()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._registry)
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        sent = 0
        with suppress(OSError):
            while piece := client.recv(1 << 16):
                sent += len(piece)
                if sent > STUCK_AFTER and not self._free.is_set():
                    self._note(stuck=True)
                    self._free.wait()
                server.sendall(piece)
        server.close()
        client.close()

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(1 << 16):
                client.sendall(piece)
                self._note(arrived=piece.count(b"HTTP/1.1 201 "))
        client.close()
        server.close()

    def _note(self, *, stuck: bool = False, arrived: int = 0) -> None:
        with self._lock:
            self._stuck |= stuck
            self._arrived += arrived
            if self._stuck and self._arrived >= SMALL:
                self.ready.set()


@pytest.fixture
def relay(forge: Forge) -> Iterator[Relay]:
    made = Relay(forge.registry)
    yield made
    made.close()


def empty_image(client: Client, uri: str, **settings: object) -> str:
    """Push an image without layers; its digest."""
    store = MemoryStore()
    config = {"os": "linux", "architecture": "amd64", "config": settings, "rootfs": {"type": "layers", "diff_ids": []}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": types.OCI_MANIFEST,
        "config": store.add(json.dumps(config).encode(), types.OCI_CONFIG).to_json(),
        "layers": [],
    }
    root = store.add(json.dumps(manifest).encode(), types.OCI_MANIFEST)
    return push(client, store, root, Reference.parse(uri)).digest


def imagebuild(forge: Forge, folder: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "import sys; from imagebuilder.cli.entry import main; sys.exit(main())", *args]
    environ = {**forge.environ, "IMAGEBUILDER_CACHE_DIR": str(folder / "cache")}
    return subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed(relay: Relay, process: subprocess.Popen[str]) -> None:
    """Kill a command without warning when only its big blob is on its way."""
    assert relay.ready.wait(60), process.communicate(timeout=1)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    relay.release()


def ended(process: subprocess.Popen[str], code: int = 0) -> dict[str, object]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    document = json.loads(out)
    return {"images": document} if isinstance(document, list) else dict(document)


@pytest.fixture
def spec(forge: Forge, tmp_path: Path) -> Path:
    """A spec of three folders on a base without layers, one of them big."""
    for name, size in (("small", 100_000), ("little", 200_000), ("big", 20_000_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_bytes(os.urandom(size))
    base = f"{forge.registry}/{forge.name('no-layers')}:1"
    with Client() as client:
        empty_image(client, base)
    path = tmp_path / "spec.py"
    path.write_text(
        "from imagebuilder import Image\n"
        f"image = Image.from_base({base!r}, name={forge.name('killed')!r})\n"
        'image = image.with_source_folder("small").with_source_folder("little").with_source_folder("big")\n'
    )
    return path


def weights(client: Client, ref: Reference) -> tuple[int, int]:
    """The bytes of the biggest layer, and of the manifest."""
    manifest = client.manifest(ref)
    return max(layer.size for layer in manifest.layers), len(manifest.raw)


def test_a_killed_build_goes_on_where_it_was(forge: Forge, relay: Relay, spec: Path) -> None:
    args = ("build", "spec.py", "--registry", relay.host, "--builder", "direct", "--json")
    relay.hold()
    killed(relay, imagebuild(forge, spec.parent, *args))
    ended(imagebuild(forge, spec.parent, "check", "spec.py", "--registry", relay.host, "--json"), code=1)
    document = ended(imagebuild(forge, spec.parent, *args))
    (image,) = document["images"]  # type: ignore[misc]
    with Client() as client:
        ref = Reference.parse(image["uri"])
        assert image["bytes_uploaded"] == sum(weights(client, ref))
        assert client.manifest(ref).digest == image["digest"]


def test_a_killed_copy_leaves_the_tag_as_it_was(forge: Forge, relay: Relay, spec: Path) -> None:
    args = ("build", "spec.py", "--registry", forge.registry, "--builder", "direct", "--json")
    (image,) = ended(imagebuild(forge, spec.parent, *args))["images"]  # type: ignore[misc]
    target = f"{relay.host}/{forge.name('killed-copy')}:1"
    with Client() as client:
        ref = Reference.parse(target)
        old = empty_image(client, target, Env=["OLD=1"])
        relay.hold()
        killed(relay, imagebuild(forge, spec.parent, "copy", image["uri"], target))
        standing = client.resolve(ref)
        assert standing is not None
        assert standing.digest == old
        again = ended(imagebuild(forge, spec.parent, "copy", image["uri"], target, "--json"))
        assert (again["digest"], again["bytes_moved"]) == (image["digest"], sum(weights(client, ref)))
