"""Code bundles: the same bytes for the same code, and no way out of the folder."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tasksdk.code_bundle import CodeBundle
from tasksdk.errors import UserInputError


@pytest.fixture
def code(tmp_path: Path) -> Path:
    top = tmp_path / "code"
    (top / "package").mkdir(parents=True)
    (top / "package" / "__init__.py").write_text("")
    (top / "package" / "module.py").write_text("VALUE = 1\n")
    (top / "data.txt").write_text("data")
    (top / "run.sh").write_text("#!/bin/sh\n")
    (top / "run.sh").chmod(0o755)
    (top / "__pycache__").mkdir()
    (top / "__pycache__" / "x.pyc").write_text("")
    return top


def _files(folder: Path) -> dict[str, tuple[str, bool]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_text(), bool(path.stat().st_mode & 0o100))
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_everything_comes_back(code: Path, tmp_path: Path) -> None:
    bundle = CodeBundle.build(code, str(tmp_path / "bundles"), everything=True)
    found = _files(bundle.extract(tmp_path / "out"))
    assert found == {
        "package/__init__.py": ("", False),
        "package/module.py": ("VALUE = 1\n", False),
        "data.txt": ("data", False),
        "run.sh": ("#!/bin/sh\n", True),
    }


def test_the_same_code_makes_the_same_bytes(code: Path, tmp_path: Path) -> None:
    first = CodeBundle.build(code, str(tmp_path / "one"), everything=True)
    for path in code.rglob("*.py"):
        path.touch()
    second = CodeBundle.build(code, str(tmp_path / "two"), everything=True)
    assert first.digest == second.digest
    assert Path(first.uri).read_bytes() == Path(second.uri).read_bytes()
    (code / "data.txt").write_text("other")
    assert CodeBundle.build(code, str(tmp_path / "two"), everything=True).digest != first.digest


def test_what_is_loaded_is_enough(code: Path, tmp_path: Path) -> None:
    script = (
        "import package.module\nfrom tasksdk import CodeBundle\n"
        f"bundle = CodeBundle.build('.', {str(tmp_path / 'bundles')!r})\nprint(bundle.uri)"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=code, capture_output=True, text=True, check=True)
    assert set(_files(CodeBundle(ran.stdout.strip()).extract(tmp_path / "out"))) == {
        "package/__init__.py",
        "package/module.py",
    }


def test_nothing_to_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserInputError, match="no code"):
        CodeBundle.build(tmp_path, str(tmp_path / "bundles"))
    with pytest.raises(UserInputError, match="no folder"):
        CodeBundle.build(tmp_path / "absent", str(tmp_path / "bundles"))


def test_several_may_extract_at_once(code: Path, tmp_path: Path) -> None:
    bundle = CodeBundle.build(code, str(tmp_path / "bundles"), everything=True)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: _files(bundle.extract(tmp_path / "out")), range(16)))
    assert all(files == found[0] for files in found)
    assert len(found[0]) == 4


def _archive(path: Path, *members: tarfile.TarInfo) -> CodeBundle:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size) if member.isreg() else None)
    return CodeBundle(str(path))


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member("../out.py"),
        _member("/etc/out.py"),
        _member("a/../../out.py"),
        _member("a/./b"),
        _member("a\\..\\b"),
        _member("link", tarfile.SYMTYPE, "/etc"),
        _member("link", tarfile.LNKTYPE, "a"),
        _member("device", tarfile.CHRTYPE),
        _member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name} {member.type!r}",
)
def test_a_hostile_archive_leaves_nothing(tmp_path: Path, member: tarfile.TarInfo) -> None:
    bundle = _archive(tmp_path / "bundle.tar.gz", _member("a/fine.py"), member)
    with pytest.raises(UserInputError, match="bundle"):
        bundle.extract(tmp_path / "inner" / "out")
    assert {path.name for path in tmp_path.rglob("*")} <= {"bundle.tar.gz", "inner", ".out.lock"}


@pytest.mark.parametrize("data", [b"", b"not an archive", b"\x1f\x8b\x08\x00broken"])
def test_a_broken_archive_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(data)
    with pytest.raises(UserInputError, match="cannot be unpacked"):
        CodeBundle(str(path)).extract(tmp_path / "out")
    assert not (tmp_path / "out").exists()
