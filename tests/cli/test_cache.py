"""`imagebuild cache`: what it shows, and what it removes."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from imagebuilder.cache.in_use import in_use
from imagebuilder.cache.kinds import IMAGES, LAYERS, WHEELS
from imagebuilder.cli.entry import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEBUILDER_CACHE_DIR", str(folder))
    for number, (kind, name) in enumerate(
        ((IMAGES, "blobs/sha256/a"), (WHEELS, "sha256/0/w-1.whl"), (LAYERS, "a.json"))
    ):
        path = kind.at(folder) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 1000)
        os.utime(path, (time.time() - 86_400 * (number + 1),) * 2)
    return folder


def run(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert main(["cache", *args]) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def test_looking(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys).splitlines()
    assert lines[0] == str(cache)
    assert lines[1].split() == ["kind", "entries", "size", "last", "used", "path"]
    (images,) = [line for line in lines if line.startswith("  images ")]
    assert images.split()[:6] == ["images", "1", "1.0", "kB", "1", "d"]
    assert "images-1" in images
    assert lines[-1] == "3.0 kB of 20 GB"
    found = json.loads(run(capsys, "--json"))
    assert (found["folder"], found["bytes"], found["max_bytes"]) == (str(cache), 3000, 20 * 10**9)
    rows = {row["kind"]: row for row in found["caches"]}
    assert rows["wheels"]["path"] == str(cache / "wheels-1")
    assert (rows["wheels"]["entries"], rows["wheels"]["bytes"]) == (1, 1000)
    assert rows["wheels"]["last_used"].endswith("Z")
    assert rows["bytecode"]["last_used"] is None


def test_the_folder(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "dir") == f"{cache}\n"


def test_pruning(cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(capsys, "prune").splitlines() == ["freed 0 B; 3.0 kB left"]
    assert run(capsys, "prune", "--max-size", "2kB", "wheels") == "freed 0 B; 3.0 kB left\n"
    assert run(capsys, "prune", "--older-than", "60h").splitlines() == [
        "layers             1 file    1.0 kB",
        "freed 1.0 kB; 2.0 kB left",
    ]
    monkeypatch.setenv("IMAGEBUILDER_CACHE_SIZE", "1kB")
    found = json.loads(run(capsys, "prune", "--json"))
    assert found == {
        "freed": [{"kind": "wheels", "files": 1, "bytes": 1000}],
        "bytes_freed": 1000,
        "bytes_in_use": 0,
        "bytes_left": 1000,
    }
    with in_use(cache, quiet=True):
        assert main(["cache", "prune", "--all"]) == 0
        said = capsys.readouterr()
        assert (said.out, said.err) == ("freed 0 B; 1.0 kB left\n", "1.0 kB stayed: running builds use the cache\n")
    assert run(capsys, "prune", "--all").splitlines()[-1] == "freed 1.0 kB; 0 B left"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("prune", "--max-size", "lots"), "--max-size is 'lots', which is no size"),
        (("prune", "--older-than", "1y"), "--older-than is '1y', which is no time"),
        (("prune", "--all", "--older-than", "1d"), "--all excludes"),
        (("prune", "photos"), "'photos' is not one of"),
        (("--json", "dir"), "write --json behind dir"),
    ],
)
def test_what_makes_no_sense(
    cache: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert said in run(capsys, *words, code=2)


def test_a_bound_that_is_none(cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBUILDER_CACHE_SIZE", "lots")
    assert "cache_size is 'lots', which is no size" in run(capsys, code=2)
