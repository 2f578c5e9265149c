"""Code bundles: the same bytes for the same code, and no way out of the folder."""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tasksdk import code_archive
from tasksdk.code_bundle import CodeBundle
from tasksdk.errors import UserInputError

if TYPE_CHECKING:
    from collections.abc import Callable


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


def _gzipped(tar: bytes) -> bytes:
    return gzip.compress(tar, 1)


def _bundle(folder: Path, data: bytes) -> CodeBundle:
    path = folder / "bundle.tar.gz"
    path.write_bytes(data)
    return CodeBundle(str(path))


def _header(name: str, kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


_PEAK = """
import sys, pathlib
from tasksdk.code_bundle import CodeBundle
from tasksdk.errors import UserInputError
try:
    CodeBundle(sys.argv[1]).extract(sys.argv[2])
except UserInputError as error:
    most = pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    print(int(most) >> 10, error)
"""


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_unpacks_to_much_costs_little(tmp_path: Path, kind: bytes) -> None:
    size = 300 << 20
    path = tmp_path / "bundle.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as archive:
        archive.write(_header("bomb", kind, size))
        for _ in range(size >> 20):
            archive.write(bytes(1 << 20))
    command = [sys.executable, "-c", _PEAK, str(path), str(tmp_path / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    mebibytes, _, said = ran.stdout.partition(" ")
    assert "header that is too long" in said
    assert int(mebibytes) < 150
    assert not (tmp_path / "out").exists()


def test_files_that_unpack_to_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_archive, "MOST_BYTES", 1 << 20)
    two = [_member("a"), _member("b")]
    for member in two:
        member.size = 600 << 10
    with pytest.raises(UserInputError, match="unpacks to more than 1 MiB"):
        _archive(tmp_path / "bundle.tar.gz", *two).extract(tmp_path / "out")
    monkeypatch.setattr(code_archive, "MOST_MEMBERS", 2)
    with pytest.raises(UserInputError, match="more than 2 files"):
        _archive(tmp_path / "bundle.tar.gz", *map(_member, "abc")).extract(tmp_path / "out")


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    # A file of 8 GiB that has one block: GNU's old sparse format.
    header = bytearray(_header("sparse.py", tarfile.GNUTYPE_SPARSE, 512))
    header[386:410] = b"%011o\0%011o\0" % (0, 512)
    header[483:495] = b"%011o\0" % ((8 << 30) - 1)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    bundle = _bundle(tmp_path, _gzipped(bytes(header) + bytes(512) + bytes(1024)))
    with pytest.raises(UserInputError, match="neither a file nor a folder"):
        bundle.extract(tmp_path / "out")


@pytest.mark.parametrize("names", [("a.py", "a.py"), ("a", "a/b"), ("a/b", "a")])
def test_two_members_of_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(UserInputError, match="twice"):
        _archive(tmp_path / "bundle.tar.gz", *map(_member, names)).extract(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_part_that_cannot_be_read_is_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    _archive(path, _member("a.py"), _member("b.py"))
    tar = bytearray(gzip.decompress(path.read_bytes()))
    tar[1024] ^= 1  # the name of the second, which its checksum covers
    with pytest.raises(UserInputError, match="cannot be unpacked"):
        _bundle(tmp_path, _gzipped(bytes(tar))).extract(tmp_path / "out")


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), zipped=st.booleans(), cut=st.booleans())
@settings(max_examples=200, deadline=None)
def test_damage_is_an_error_or_harmless(at: int, bit: int, zipped: bool, cut: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        members = [_member("a/b.py"), _member("c" * 150), _member("d.py")]
        data = bytearray(Path(_archive(top / "bundle.tar.gz", *members).uri).read_bytes())
        if not zipped:
            data = bytearray(gzip.decompress(data))
        at %= len(data)
        if cut:
            del data[at:]
        else:
            data[at] ^= 1 << bit
        bundle = _bundle(top, bytes(data) if zipped else _gzipped(bytes(data)))
        try:
            found = bundle.extract(top / "out")
        except UserInputError:
            assert {path.name for path in top.iterdir()} == {"bundle.tar.gz", ".out.lock"}
        else:
            assert all(path.resolve().is_relative_to(found) for path in found.rglob("*"))


def test_a_bundle_that_is_not_what_it_is_named_after_is_refused(code: Path, tmp_path: Path) -> None:
    bundle = CodeBundle.build(code, str(tmp_path / "bundles"), everything=True)
    (code / "data.txt").write_text("other")
    Path(CodeBundle.build(code, str(tmp_path / "bundles"), everything=True).uri).replace(bundle.uri)
    with pytest.raises(UserInputError, match="damaged"):
        bundle.extract(tmp_path / "out")


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserInputError, match=r"absent\.tar\.gz cannot be read"):
        CodeBundle(str(tmp_path / "absent.tar.gz")).extract(tmp_path / "out")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that is this test's, and Python's paths as they were."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


def test_bundles_of_one_name_are_not_each_others(tmp_path: Path, temporary: Path) -> None:
    first = _archive(tmp_path / "code.tar.gz", _member("a.py")).install()
    second = _archive(tmp_path / "code.tar.gz", _member("b.py")).install()
    assert [path.name for path in first.iterdir()] == ["a.py"]
    assert [path.name for path in second.iterdir()] == ["b.py"]
    assert first.parent == second.parent == temporary / f"tasksdk-code-{os.getuid()}"
    assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700


def _open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def _somebody_elses(path: Path) -> None:
    path.mkdir()
    if os.getuid() == 0:
        os.chown(path, 12345, 12345)
    else:
        path.chmod(0o770)


def _link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir(mode=0o700)
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("prepare", [_open_to_all, _somebody_elses, _link, Path.touch])
def test_a_folder_that_others_may_write_into_is_not_used(
    tmp_path: Path, temporary: Path, prepare: Callable[[Path], None]
) -> None:
    own = temporary / f"tasksdk-code-{os.getuid()}"
    prepare(own)
    bundle = _archive(tmp_path / "code.tar.gz", _member("a.py"))
    found = bundle.install()
    assert found.parent == temporary / f"tasksdk-code-{os.getuid()}-1"
    assert not own.is_dir() or not list(own.iterdir())
    assert bundle.install() == found


@pytest.mark.parametrize("data", [b"", b"not an archive", b"\x1f\x8b\x08\x00broken"])
def test_a_broken_archive_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(data)
    with pytest.raises(UserInputError, match="cannot be unpacked"):
        CodeBundle(str(path)).extract(tmp_path / "out")
    assert not (tmp_path / "out").exists()
