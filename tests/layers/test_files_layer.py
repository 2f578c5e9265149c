from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from imagebuilder.errors import SpecError
from imagebuilder.layers import TarEntry, entries_layer, files_layer
from imagebuilder.sources import take_snapshot
from imagebuilder.sources.material import Material, Original, Text
from imagebuilder.sources.snapshot import File

from .conftest import read

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def material(tmp_path: Path) -> Material:
    folder = tmp_path / "source"
    (folder / "pkg" / "empty").mkdir(parents=True)
    (folder / "pkg" / "a.py").write_bytes(b"a" * 700_000)
    (folder / "run.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "run.sh").chmod(0o700)
    (folder / "link").symlink_to("pkg/a.py")
    return Material((("", take_snapshot(str(folder))), ("made.txt", Text(b"text"))))


def test_a_folder(material: Material, store: Path) -> None:
    layer = files_layer(material, "/app/src", store, what="source", owner=(1000, 1001))
    found = read(store, layer)
    assert sorted(found) == sorted(
        [
            "app",
            "app/src",
            *(f"app/src/{name}" for name in ("pkg", "pkg/a.py", "pkg/empty", "run.sh", "link", "made.txt")),
        ]
    )
    assert found["app/src/run.sh"][0].mode == 0o755
    assert found["app/src/pkg/a.py"][0].mode == 0o644
    assert found["app/src/pkg/a.py"][1] == b"a" * 700_000
    assert found["app/src/link"][0].linkname == "pkg/a.py"
    assert {(entry.uid, entry.gid, entry.mtime) for entry, _ in found.values()} == {(1000, 1001, 315532800)}
    assert files_layer(material, "/app/src/", store, what="source", owner=(1000, 1001)) == layer


@pytest.mark.parametrize(("dst", "start"), [("/", ""), ("/root", "root/"), ("/tmp/", "tmp/")])
def test_folders_of_the_base_keep_their_modes(material: Material, store: Path, dst: str, start: str) -> None:
    found = read(store, files_layer(material, dst, store, what="source"))
    assert f"{start}run.sh" in found
    assert start.strip("/") not in found


def test_one_file(tmp_path: Path, store: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    import hashlib

    file = File("x", executable=True, size=1, sha256=hashlib.sha256(b"x").hexdigest())
    material = Material((("name", Original(file, str(path))),), "name")
    assert set(read(store, files_layer(material, "/etc/other", store, what="file"))) == {"etc/other"}
    assert set(read(store, files_layer(material, "/etc/dir/", store, what="file"))) == {"etc/dir", "etc/dir/name"}


@pytest.mark.parametrize("dst", ["app", "/app/../../etc", "../x"])
def test_places_outside(material: Material, store: Path, dst: str) -> None:
    with pytest.raises(SpecError):
        files_layer(material, dst, store, what="source")


def test_generated_files(store: Path) -> None:
    found = read(store, entries_layer([TarEntry.file("etc/demo.conf", "é\0".encode())], store, what="settings"))
    assert found["etc/demo.conf"][1] == "é\0".encode()
    assert list(found) == ["etc/demo.conf"]
