"""Commands that are killed with `kill -9` at each step of a push."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder.registry import MemoryRegistry, push
from imagebuilder.registry.memory.contents import Answer, Asked
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from pathlib import Path

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
STEPS = {
    "look for a blob": ("HEAD", "/blobs/sha256"),
    "begin an upload": ("POST", "/blobs/uploads/"),
    "upload": ("PUT", "/blobs/uploads/"),
    "put a child": ("PUT", "/manifests/sha256"),
    "put the tag": ("PUT", "/manifests/1"),
}


def copy(folder: Path, source: Reference, target: Reference) -> subprocess.Popen[str]:
    script = "import sys; from imagebuilder.cli.entry import main; sys.exit(main())"
    environ = {**os.environ, "IMAGEBUILDER_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", script, "copy", str(source), str(target), "--parallel", "1"]
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize("step", STEPS)
def test_the_tag_stays_and_what_arrived_is_not_sent_again(
    step: str, images: Any, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, path = STEPS[step]
    reached, dead = threading.Event(), threading.Event()
    with MemoryRegistry() as registry, MemoryRegistry() as elsewhere:
        source, target = Reference.parse(f"{elsewhere.host}/app:1"), Reference.parse(f"{registry.host}/app:1")
        old, new = images.image(layers=(b"old",)), images.multi(AMD64, ARM64)
        push(client, images.store, old, target)
        push(client, images.store, new, source)
        plain = registry.answer

        def held(asked: Asked) -> Answer:
            if asked.method == method and path in asked.path:
                reached.set()
                assert dead.wait(60)
                return Answer(503)
            return plain(asked)

        monkeypatch.setattr(registry, "answer", held)
        process = copy(tmp_path, source, target)
        assert reached.wait(60), process.communicate()
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        monkeypatch.setattr(registry, "answer", plain)
        dead.set()
        assert client.resolve(target).digest == old.digest
        arrived = set(registry.contents.repositories["app"].blobs)
        registry.seen.clear()
        again = copy(tmp_path, source, target)
        said, _ = again.communicate(timeout=60)
        assert again.returncode == 0, said
        assert client.resolve(target).digest == new.digest
        sent = {seen.path.partition("digest=")[2].replace("%3A", ":") for seen in registry.requests("PUT", "/blobs/")}
        assert not sent & arrived
        assert not (sent and step.startswith("put"))
