from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder.config import load
from imagebuilder.engine import Options
from imagebuilder.outputs.docker import Docker
from imagebuilder.outputs.output import Push
from imagebuilder.registry import Client
from imagebuilder.spec.reference import Reference
from imagebuilder.vault import site_is_usable

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from imagebuilder import Image
    from imagebuilder.builders.events import BuildEvent
    from imagebuilder.engine import Result
    from imagebuilder.outputs.output import Output

ENGINE_IS_DOWN = 'the engine is not up: run `scripts/engine up`, then eval "$(scripts/engine env)"'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@dataclass
class Forge:
    """Builds with a real BuildKit, pushes to a real registry, runs real containers."""

    registry: str
    run_id: str
    folder: Path
    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    flags: dict[str, Any] = field(default_factory=dict)
    events: list[BuildEvent] = field(default_factory=list)

    def name(self, what: str) -> str:
        return f"e2e/{self.run_id}/{what}"

    def config(self) -> Any:
        return load(self.folder, self.environ, self.flags)

    def build(
        self,
        *images: Image,
        output: Output | None = None,
        cancel: threading.Event | None = None,
        emit: Any = None,
        **options: Any,
    ) -> list[Result]:
        config = self.config()
        with config.make_client() as client:
            engine = config.make_engine(client)
            site_is_usable(engine.site)
            named = [(image.name or f"image {number}", image) for number, image in enumerate(images)]
            return engine.ensure(named, output or Push(client), Options(**options), emit or self.events.append, cancel)

    def build_one(self, image: Image, **options: Any) -> Result:
        return self.build(image, **options)[0]

    def docker(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(
            ["docker", *args], capture_output=True, text=True, check=False, env=self.environ, timeout=120
        )
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def run(self, uri: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """The output of a container; a command replaces the entrypoint."""
        args = ["run", "--rm", "--network", "none", *options]
        if command:
            return self.docker(*args, "--entrypoint", command[0], uri, *command[1:])
        return self.docker(*args, uri)

    def sh(self, uri: str, script: str) -> str:
        return self.run(uri, "/bin/sh", "-c", script)

    def pull(self, uri: str) -> dict[str, Any]:
        self.docker("pull", "--quiet", uri)
        found = json.loads(self.docker("image", "inspect", uri))[0]
        assert isinstance(found, dict)
        return found

    def manifest(self, uri: str) -> dict[str, Any]:
        with Client() as client:
            return client.manifest(Reference.parse(uri)).document

    def image_config(self, uri: str) -> dict[str, Any]:
        with Client() as client:
            reference = Reference.parse(uri)
            config = client.manifest(reference).config
            assert config is not None
            found = json.loads(client.blob(reference, config))
            assert isinstance(found, dict)
            return found

    def layers(self, uri: str) -> list[bytes]:
        """Every layer of an image, uncompressed: none is left out, the base's included."""
        with Client() as client:
            reference = Reference.parse(uri)
            found = []
            for layer in client.manifest(reference).layers:
                data = b"".join(client.stream_blob(reference, layer))
                found.append(gzip.decompress(data) if layer.media_type.endswith("gzip") else data)
            return found

    def own_layers(self, uri: str) -> list[bytes]:
        """The layers that were made for an image, without its base's."""
        history = [entry for entry in self.image_config(uri)["history"] if not entry.get("empty_layer")]
        made = [entry["created"].startswith("1980-01-01") for entry in history]
        layers = self.layers(uri)
        assert len(made) == len(layers)
        return [layer for layer, mine in zip(layers, made, strict=True) if mine]

    def exists(self, uri: str) -> bool:
        with Client() as client:
            return client.resolve(Reference.parse(uri)) is not None

    def paths(self, layer: bytes) -> list[str]:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            return tar.getnames()


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    registry = os.environ.get("IMAGEBUILDER_TEST_REGISTRY")
    if not registry or not shutil.which("docker") or not Docker(os.environ).answers():
        pytest.fail(ENGINE_IS_DOWN)
    cache = Path(os.environ.get("IMAGEBUILDER_CACHE_DIR") or tmp_path_factory.mktemp("cache"))
    made = Forge(registry, uuid.uuid4().hex[:8], tmp_path_factory.mktemp("project"))
    made.environ["IMAGEBUILDER_CACHE_DIR"] = str(cache)
    yield made
    names = made.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    mine = [name for name in names if made.run_id in name]
    if mine:
        made.docker("image", "rm", "--force", *mine, check=False)


def write_wheel(target: Any, name: str, version: str, code: str, requires: str = "") -> None:
    """A wheel of one module, its RECORD complete."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD,,\n"
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        record = f"{path},sha256={digest},{len(content)}\n{record}"
    with zipfile.ZipFile(target, "w") as wheel:
        for path, content in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, content)


@pytest.fixture(scope="session")
def wheel() -> Any:
    return write_wheel


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@dataclass
class Tree:
    """A folder that tests fill."""

    root: Path

    def file(self, path: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(mode)
        return target
