from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder.registry import Client, HostSettings, RegistrySettings
from imagebuilder.registry.memory.server import MemoryRegistry

from .bases import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with MemoryRegistry() as registry:
        hosts = {"docker.io": HostSettings(mirrors=(registry.host,))}
        with Client(RegistrySettings(hosts=hosts)) as client:
            yield Bench(registry, client, tmp_path)


@pytest.fixture
def make_wheel(tmp_path: Path) -> Any:
    """A wheel of a project, with a module, a script, data files and requirements."""

    def make(name: str, version: str = "1.0", requires: tuple[str, ...] = (), tag: str = "py3-none-any") -> Path:
        info = f"{name}-{version}.dist-info"
        needs = "".join(f"Requires-Dist: {item}\n" for item in requires)
        files = {
            f"{name}/__init__.py": f"version = {version!r}\n".encode(),
            f"{name}-{version}.data/scripts/{name}-script": b"#!python\nprint('script')\n",
            f"{name}-{version}.data/data/share/{name}.txt": b"data\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode(),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
            f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n".encode(),
        }
        rows = [
            f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
            for path, data in files.items()
        ]
        files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
        folder = tmp_path / "wheels"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}-{version}-{tag}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for at, data in files.items():
                archive.writestr(zipfile.ZipInfo(at, (1980, 1, 1, 0, 0, 0)), data)
        return path

    return make


@pytest.fixture
def code(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    (root / "deep").mkdir(parents=True)
    (root / "main.py").write_text("print('main')\n")
    (root / "deep" / "run.sh").write_text("#!/bin/sh\n")
    (root / "deep" / "run.sh").chmod(0o755)
    (root / "link").symlink_to("deep")
    return root
