from __future__ import annotations

import json
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder.builders.events import Log, Step
from imagebuilder.builders.port import Built
from imagebuilder.cli.entry import main
from imagebuilder.registry import Client, MemoryRegistry, MemoryStore, push
from imagebuilder.registry import media_types as types
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.registry import Descriptor


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Project:
    """The current folder of a user."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return Path(name)

    def spec(self, text: str, name: str = "spec.py") -> Path:
        return self.write(name, f"from imagebuilder import Image\n{textwrap.dedent(text)}")

    def run(self, *args: object) -> Ended:
        self._capture.readouterr()
        code = main([str(arg) for arg in args])
        return Ended(code, *self._capture.readouterr())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Project:
    """An empty folder, and an environment without settings, logins or Docker."""
    for name in list(os.environ):
        if name.startswith(("IMAGEBUILDER_", "DOCKER_", "XDG_", "REGISTRY_")):
            monkeypatch.delenv(name)
    for name in ("SSL_CERT_FILE", "NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-docker.sock")
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Project(folder, capfd)


@pytest.fixture
def registry() -> Iterator[MemoryRegistry]:
    with MemoryRegistry() as running:
        yield running


def make_image(store: MemoryStore, labels: dict[str, str] | None = None) -> Descriptor:
    config = {"os": "linux", "architecture": "amd64", "config": {"Labels": labels or {}}, "rootfs": {"type": "layers"}}
    document = {
        "schemaVersion": 2,
        "mediaType": types.OCI_MANIFEST,
        "config": store.add(json.dumps(config).encode(), types.OCI_CONFIG).to_json(),
        "layers": [store.add(b"layer", types.OCI_LAYER).to_json()],
    }
    return store.add(json.dumps(document).encode(), types.OCI_MANIFEST)


@pytest.fixture
def push_image() -> Callable[..., str]:
    """Pushes an image with labels to a reference; returns its digest."""

    def pushed(reference: str, labels: dict[str, str] | None = None) -> str:
        store = MemoryStore()
        with Client() as client:
            return push(client, store, make_image(store, labels), Reference.parse(reference)).digest

    return pushed


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> FakeBuilder:
    """Builds in no time, in place of BuildKit."""
    fake = FakeBuilder()
    monkeypatch.setenv("IMAGEBUILDER_BUILDER", "buildkit")
    monkeypatch.setattr(
        "imagebuilder.builders.buildkit.BuildKitBuilder.build",
        lambda _self, request, emit, cancel: fake.build(request, emit, cancel),
    )
    return fake


class FakeBuilder:
    """Makes an image of one layer with the plan's labels, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.requests: list[BuildRequest] = []
        self.failure: BaseException | None = None
        self.failing: dict[str, BaseException] = {}  # by the image's name

    def build(self, request: BuildRequest, emit: Emit, _cancel: threading.Event) -> Built:
        self.requests.append(request)
        emit(Step(request.name, "1", "uv pip install", "started", 1))
        emit(Log(request.name, "1", "resolving"))
        failure = self.failure or self.failing.get(request.name)
        if failure:
            emit(Step(request.name, "1", "uv pip install", "failed", 1, 0.5))
            raise failure
        emit(Step(request.name, "1", "uv pip install", "done", 1, 0.5))
        store = MemoryStore()
        return Built(store, make_image(store, dict(request.plan.labels)))
