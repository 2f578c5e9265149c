"""Wheels made by hand, good and bad, and layers read back."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from imagebuilder.layers import InstallTarget, Layer

Files = Mapping[str, bytes]
MakeWheel = Callable[..., Path]


def record_of(files: Files, own: str) -> bytes:
    rows = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*rows, f"{own},,", ""]).encode()


@pytest.fixture
def make_wheel(tmp_path: Path) -> MakeWheel:
    """Write a wheel; `record` replaces RECORD, `modes` are external attributes, `extra` members RECORD knows not of."""

    def make(
        files: Files | None = None,
        *,
        name: str = "demo",
        version: str = "1.0",
        dist_info: str | None = None,
        metadata: bytes | None = None,
        wheel: bytes = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        record: bytes | None = None,
        modes: Mapping[str, int] | None = None,
        extra: Files | None = None,
        folders: tuple[str, ...] = (),
        method: int = zipfile.ZIP_DEFLATED,
        into: Path | None = None,
    ) -> Path:
        info = dist_info or f"{name}-{version}.dist-info"
        all_files = {
            **({"demo.py": b"x = 1\n"} if files is None else files),
            f"{info}/METADATA": metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
            f"{info}/WHEEL": wheel,
        }
        own = f"{info}/RECORD"
        made = {**all_files, own: record_of(all_files, own) if record is None else record, **(extra or {})}
        folder = into or tmp_path / "wheels"
        folder.mkdir(exist_ok=True, parents=True)
        path = folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", method) as archive:
            for at in folders:
                archive.writestr(zipfile.ZipInfo(at, (1980, 1, 1, 0, 0, 0)), b"")
            for at, data in made.items():
                entry = zipfile.ZipInfo(at, (1980, 1, 1, 0, 0, 0))
                entry.compress_type = method
                entry.external_attr = (modes or {}).get(at, 0o100644) << 16
                archive.writestr(entry, data)
        return path

    return make


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def target() -> InstallTarget:
    return InstallTarget()


def blob(store: Path, layer: Layer) -> bytes:
    return (store / "blobs" / "sha256" / layer.descriptor.digest.removeprefix("sha256:")).read_bytes()


def read(store: Path, layer: Layer) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """A layer's entries; checks both digests, the size, and that no path is there twice."""
    compressed = blob(store, layer)
    assert f"sha256:{hashlib.sha256(compressed).hexdigest()}" == layer.descriptor.digest
    assert len(compressed) == layer.descriptor.size
    archive = gzip.decompress(compressed)
    assert f"sha256:{hashlib.sha256(archive).hexdigest()}" == layer.diff_id
    found: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            assert member.name not in found, member.name
            content = tar.extractfile(member) if member.isfile() else None
            found[member.name] = (member, content.read() if content else b"")
    return found


def leftovers(store: Path) -> list[str]:
    return [path.name for path in store.rglob("*") if path.is_file()]
