"""Packages that only a build tells the needs of: nothing is built here, whatever they are and whoever asks."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder.packages import LockedPackage, NeedsInstaller, Resolution, ResolutionCache
from imagebuilder.packages.no_build import refusing_interpreter
from imagebuilder.packages.unbuilt import CoreMetadata, settings_of
from imagebuilder.spec.script import load_toml

from .conftest import make_wheel
from .resolving import names, requirements, resolve

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = '[project]\nname = "{name}"\ndynamic = ["version", "dependencies"]\n'
PYPROJECT += '[build-system]\nrequires = []\nbuild-backend = "own"\n'


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture
def sources(tmp_path: Path, trap: Path) -> Path:
    """A project of setup.py alone, one with a backend of its own beside it, and an sdist of such a project."""
    code = f"open({str(trap)!r}, 'w').close()\n"
    for name, files in {
        "old": {"setup.py": f"{code}name = 'zq-' + 'old'\nfrom setuptools import setup\nsetup(name=name)\n"},
        "own": {
            "pyproject.toml": PYPROJECT.format(name="zq-own") + 'backend-path = ["."]\n',
            "own.py": code,
        },
    }.items():
        (tmp_path / name).mkdir()
        for at, text in files.items():
            (tmp_path / name / at).write_text(text)
    links = tmp_path / "links"
    links.mkdir(exist_ok=True)
    with tarfile.open(links / "zq_sdist-1.0.tar.gz", "w:gz") as archive:
        for at, text in {
            "pyproject.toml": PYPROJECT.format(name="zq-sdist") + 'backend-path = ["."]\n',
            "own.py": code,
            "PKG-INFO": "Metadata-Version: 1.0\nName: zq-sdist\nVersion: 1.0\n",
        }.items():
            member = tarfile.TarInfo(f"zq_sdist-1.0/{at}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return tmp_path


@pytest.mark.parametrize("wanted", ["./old", "./own", "zq-sdist", "./links/zq_sdist-1.0.tar.gz"])
def test_nothing_is_built(environ: dict[str, str], sources: Path, links: Path, trap: Path, wanted: str) -> None:
    found = resolve(environ, requirements(sources, f"{wanted}\n"))
    assert isinstance(found, NeedsInstaller)
    assert "must be built to learn what it needs" in found.reason
    assert not trap.exists()


def test_what_a_build_said_is_used(
    environ: dict[str, str], sources: Path, links: Path, trap: Path, tmp_path: Path
) -> None:
    asked: list[LockedPackage] = []

    def build(package: LockedPackage, _logins: Any) -> Path:
        asked.append(package)
        name = {"local-1": "zq-old", "local-2": "zq-own"}.get(package.place or "", "zq-sdist")
        return make_wheel(tmp_path / "built", name, "1.0", ("zq-b", "zq-a<2; extra == 'less'"))

    layer = requirements(sources, "./old[less]\n./own\nzq-sdist\n")
    cache = ResolutionCache(tmp_path / "cache")
    found = resolve(environ, layer, build=build, cache=cache)
    assert isinstance(found, Resolution)
    assert names(found) == ["zq-a 1.0", "zq-b 1.0", "zq-old", "zq-own", "zq-sdist 1.0"]
    assert sorted((one.source, one.place) for one in asked if one.source == "directory") == [
        ("directory", "local-1"),
        ("directory", "local-2"),
    ]
    (sdist,) = [one.sdist for one in asked if one.sdist]
    assert sdist.location == str(links / "zq_sdist-1.0.tar.gz")
    assert {one.layer for one in asked} == {1}
    assert resolve(environ, layer, command=("/nonexistent",), cache=cache) == found
    assert not trap.exists()


def test_the_interpreter_stays_the_same_file(tmp_path: Path) -> None:
    path = refusing_interpreter(tmp_path)
    before = path.stat()
    assert refusing_interpreter(tmp_path) == path
    assert path.stat() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_metadata_of_a_wheel(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "zq-a", "1.0", ("b>=1", 'c; python_version < "3"'))
    found = CoreMetadata.of(wheel)
    assert found == CoreMetadata("zq-a", "1.0", ("b>=1", 'c; python_version < "3"'))
    (table,) = load_toml(settings_of([found]), "settings")["dependency-metadata"]
    assert table["requires-dist"] == ["b>=1", 'c; python_version < "3"']
