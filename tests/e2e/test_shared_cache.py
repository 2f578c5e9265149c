"""Machines that share layers of wheels through a real registry."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.cache.kinds import IMAGES, WHEELS
from imagebuilder.registry import Client
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from conftest import Forge

IMAGEBUILD = Path(sys.executable).with_name("imagebuild")
SPEC = """
from imagebuilder import Image
base = Image.from_debian_base("3.11", install_sdk=False, name="{name}", registry="{registry}")
image = base.with_pip_packages({packages})
del base
"""


def machine(forge: Forge, cache: Path, *, shared: str | None = None, write: bool = False) -> Forge:
    """A machine that has nothing but this folder."""
    environ = {**forge.environ, "IMAGEBUILDER_CACHE_DIR": str(cache)}
    environ |= {"PATH": "/nonexistent", "DOCKER_HOST": "tcp://127.0.0.1:9"}
    if shared:
        environ |= {"IMAGEBUILDER_CACHE": shared, "IMAGEBUILDER_CACHE_WRITE": str(write).lower()}
    return replace(forge, environ=environ, flags={"builder": "direct"}, events=[])


def warnings(forge: Forge) -> list[str]:
    return [event.message for event in forge.events if isinstance(event, Warning)]


@pytest.fixture
def shared(forge: Forge) -> str:
    return f"{forge.registry}/{forge.name(f'cache-{uuid.uuid4().hex[:6]}')}"


def tags(reference: str) -> list[str]:
    with Client() as client:
        try:
            return client.tags(Reference.parse(reference))
        except Exception:  # noqa: BLE001 - the repository is not there yet
            return []


def test_an_empty_machine_has_an_image_without_a_wheel(forge: Forge, shared: str, tmp_path: Path) -> None:
    image = Image.from_debian_base("3.11", install_sdk=False, name=forge.name("shared"), registry=forge.registry)
    image = image.with_pip_packages("click==8.1.7", "zope.interface==7.2", "black==24.10.0")
    first = machine(forge, tmp_path / "first", shared=shared, write=True)
    filled = first.build_one(image)
    assert warnings(first) == []
    second = machine(forge, tmp_path / "second", shared=shared)
    found = second.build_one(image, force=True)
    assert found.digest == filled.digest
    assert warnings(second) == []
    assert not WHEELS.at(tmp_path / "second").exists()
    assert sum(path.stat().st_size for path in IMAGES.at(tmp_path / "second").rglob("*") if path.is_file()) < 40_000
    assert forge.sh(found.uri, "black --version").startswith("black, 24.10.0")
    # The same without the shared cache, byte for byte, and mounted into a repository that has nothing.
    assert machine(forge, tmp_path / "third").build_one(image, force=True).digest == filled.digest
    moved = machine(forge, tmp_path / "second", shared=shared).build_one(image.clone(name=forge.name("mounted")))
    assert moved.bytes_uploaded < 40_000
    assert forge.sh(moved.uri, "python -c 'import zope.interface, click'") == ""


def test_to_another_registry_it_is_copied(forge: Forge, shared: str, tmp_path: Path) -> None:
    other = forge.environ["IMAGEBUILDER_TEST_REGISTRY_2"]
    image = Image.from_debian_base("3.11", install_sdk=False, name=forge.name("far"), registry=forge.registry)
    image = image.with_pip_packages("idna==3.10")
    filled = machine(forge, tmp_path / "first", shared=shared, write=True).build_one(image)
    far = machine(forge, tmp_path / "second", shared=shared)
    result = far.build_one(image.clone(registry=other))
    assert result.digest == filled.digest
    assert warnings(far) == []
    assert not WHEELS.at(tmp_path / "second").exists()
    assert forge.sh(result.uri, "python -c 'import idna; print(idna.__version__)'") == "3.10\n"


def run(environ: dict[str, str], folder: Path, *args: str) -> subprocess.Popen[str]:
    words = [str(IMAGEBUILD), "build", "spec.py", "--builder", "direct", "--force", "--json", *args]
    return subprocess.Popen(words, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_writers_at_once_and_one_that_is_killed(forge: Forge, shared: str, tmp_path: Path) -> None:
    packages = ["click==8.1.7", "idna==3.10", "attrs==24.2.0", "zope.interface==7.2"]
    text = SPEC.format(name=forge.name("killed"), registry=forge.registry, packages=", ".join(map(repr, packages)))
    (tmp_path / "spec.py").write_text(text)

    def environ(cache: str) -> dict[str, str]:
        return {**os.environ, "IMAGEBUILDER_CACHE_DIR": str(tmp_path / cache), "IMAGEBUILDER_CACHE": shared}

    killed = run(environ("killed"), tmp_path, "--cache-write")
    while killed.poll() is None and not tags(shared):
        pass
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    half = tags(shared)
    assert half
    writers = [run(environ(f"writer-{number}"), tmp_path, "--cache-write") for number in range(2)]
    digests = {_digest(writer) for writer in [*writers, run(environ("killed"), tmp_path)]}
    assert set(half) <= set(tags(shared))
    digests.add(_digest(run(environ("empty"), tmp_path)))
    assert len(digests) == 1
    assert not WHEELS.at(tmp_path / "empty").exists()


def _digest(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "warning" not in err.lower()
    found: Any = json.loads(out)["images"][0]["digest"]
    assert isinstance(found, str)
    return found
