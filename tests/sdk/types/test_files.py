"""Files and folders: their URIs, their content, and when it moves."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flyteidl2.core.types_pb2 import BlobType
from fsspec.implementations.memory import MemoryFileSystem
from tasksdk.errors import ConversionError, MissingDependencyError
from tasksdk.types import Dir, File, RawData, TypeEngine


@pytest.fixture(params=["local", "memory"])
def raw(request: pytest.FixtureRequest, tmp_path: Path) -> RawData:
    return RawData(tmp_path / "raw" if request.param == "local" else f"memory://{tmp_path.name}/raw")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "table.csv"
    path.parent.mkdir()
    path.write_text("a,b\n1,2\n")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    (path / "deep" / "er").mkdir(parents=True)
    (path / "one.txt").write_text("1")
    (path / "deep" / "two.txt").write_text("2")
    (path / "deep" / "er" / "three.txt").write_text("3")
    return path


def sent(value: Any, hint: Any, raw: RawData) -> Any:
    return TypeEngine.to_python_value(raw, TypeEngine.to_literal(raw, value, hint, None), hint)


def test_a_local_file_is_uploaded_when_it_leaves_and_read_when_it_is_asked(table: Path, raw: RawData) -> None:
    found = sent(File.from_local(table), File, raw)
    assert found.path.startswith(raw.path)
    assert found.name == "table.csv"
    table.unlink()
    with found.open("r") as opened:
        assert opened.read() == "a,b\n1,2\n"
    assert Path(found.download()).read_text() == "a,b\n1,2\n"
    assert Path(found).read_text() == "a,b\n1,2\n"


def test_the_same_under_await(table: Path, raw: RawData, tmp_path: Path) -> None:
    found = sent(File.from_local(table), File, raw)

    async def read() -> None:
        local = await File.from_local(table)
        assert local == File(table)
        async with found.open("rb") as opened:
            assert await opened.readline() == b"a,b\n"
            assert [line async for line in opened] == [b"1,2\n"]
        assert await found.download(tmp_path / "here.csv") == str(tmp_path / "here.csv")
        assert (await found.download.aio()).endswith("/table.csv")
        assert await found.exists()
        assert await found.exists.aio()

    asyncio.run(read())
    assert (tmp_path / "here.csv").read_text() == "a,b\n1,2\n"


def test_uri_hash_and_format_are_kept(raw: RawData) -> None:
    value = File("s3://bucket/key.jpeg", format="jpeg", hash="abc")
    literal = TypeEngine.to_literal(raw, value, File, None)
    assert (literal.scalar.blob.uri, literal.hash) == ("s3://bucket/key.jpeg", "abc")
    assert literal.scalar.blob.metadata.type.format == "jpeg"
    assert TypeEngine.to_python_value(literal, File) == value
    folder = Dir.from_existing_remote("s3://bucket/folder", dir_cache_key="def")
    assert sent(folder, Dir, raw) == folder
    assert sent(folder, Dir, raw).hash == "def"


def test_a_file_that_came_in_goes_out_untouched(table: Path, raw: RawData, tmp_path: Path) -> None:
    found = sent(File.from_local(table), File, raw)
    other = RawData(tmp_path / "other")
    assert sent(found, File, other).path == found.path
    assert sent(File.from_existing_remote(table), File, other).path == str(table)
    assert not (tmp_path / "other").exists()


def test_a_file_below_the_raw_data_stays(raw: RawData, tmp_path: Path) -> None:
    inside = tmp_path / "raw" / "made.txt"
    inside.parent.mkdir()
    inside.write_text("x")
    found = sent(File(inside), File, RawData(tmp_path / "raw"))
    assert found.path == str(inside)


def test_without_a_context_a_local_file_stays_where_it_is(table: Path) -> None:
    assert TypeEngine.to_literal(File(table), File, None).scalar.blob.uri == str(table)


def test_a_relative_path_leaves_as_an_absolute_one(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(table.parent)
    assert TypeEngine.to_literal(File("table.csv"), File, None).scalar.blob.uri == str(table)
    assert RawData("raw").path == str(table.parent / "raw")


def test_the_declared_format(table: Path, raw: RawData) -> None:
    assert TypeEngine.to_literal_type(File["csv"]).blob == BlobType(format="csv", dimensionality=BlobType.SINGLE)
    assert TypeEngine.to_literal_type(Dir["csv"]).blob == BlobType(format="csv", dimensionality=BlobType.MULTIPART)
    found = sent(File(table), File["csv"], raw)
    assert (type(found), found.format) == (File, "csv")
    assert TypeEngine.guess_python_type(TypeEngine.to_literal_type(File["csv"])) is File["csv"]
    assert TypeEngine.guess_python_type(TypeEngine.to_literal_type(Dir)) is Dir


def test_a_path_is_taken_for_a_file(table: Path, raw: RawData) -> None:
    assert sent(str(table), File, raw).name == "table.csv"
    assert sent(table, File, raw).name == "table.csv"


class Length:
    """Digests to the number of bytes."""

    def __init__(self) -> None:
        self.size = 0

    def update(self, data: bytes, /) -> None:
        self.size += len(data)

    def result(self) -> str:
        return f"length-{self.size}"


def test_a_digest_of_the_users(table: Path, raw: RawData) -> None:
    assert sent(File.from_local(table, hash_method="v1"), File, raw).hash == "v1"
    assert sent(File.from_local(table, hash_method=Length()), File, raw).hash == "length-8"


def test_a_destination_is_written_at_once(table: Path, raw: RawData) -> None:
    found = File.from_local(table, remote_destination=f"{raw.path}/chosen.csv")
    assert found.path == f"{raw.path}/chosen.csv"
    assert found.exists_sync()
    assert sent(found, File, raw) == found


def test_a_new_file_is_written_and_uploaded(raw: RawData) -> None:
    value = File.new_remote("result.txt")
    with value.open("w") as opened:
        opened.write("done")
    found = sent(value, File, raw)
    assert found.path.startswith(raw.path)
    assert found.path.endswith("/result.txt")
    with found.open_sync("r") as opened:
        assert opened.read() == "done"


def test_a_folder_goes_whole(tree: Path, raw: RawData) -> None:
    found = sent(Dir.from_local(tree), Dir, raw)
    names = ["deep/er/three.txt", "deep/two.txt", "one.txt"]
    assert [file.path.removeprefix(f"{found.path}/") for file in found.walk()] == names
    assert [file.name for file in found.list_files()] == ["one.txt"]
    assert [file.name for file in found.walk(max_depth=2)] == ["two.txt", "one.txt"]
    below = Path(found.download())
    assert sorted(path.relative_to(below).as_posix() for path in below.rglob("*.txt")) == names
    assert found.get_file_sync("deep/two.txt") == File(f"{found.path}/deep/two.txt")
    assert found.get_file_sync("no.txt") is None

    async def walk() -> list[str]:
        return [file.name async for file in found.walk()]

    assert asyncio.run(walk()) == ["three.txt", "two.txt", "one.txt"]


def test_a_new_folder_is_filled_and_uploaded(raw: RawData) -> None:
    value = Dir.new_remote("results")
    Path(value.path, "a.txt").write_text("a")
    assert [file.name for file in sent(value, Dir, raw).walk()] == ["a.txt"]


Table = File["csv"]


@dataclass
class Parts:
    main: Table
    more: list[File]
    folder: Dir | None = None
    loose: Any = None


def test_files_inside_dataclasses_and_lists_are_uploaded_too(table: Path, tree: Path, raw: RawData) -> None:
    found = sent(Parts(File(table), [File(table)] * 2, Dir(tree), File(table)), Parts, raw)
    for file in (found.main, *found.more, found.loose):
        assert file.path.startswith(raw.path)
        assert file.exists_sync()
    assert [file.name for file in found.folder.walk()] == ["three.txt", "two.txt", "one.txt"]
    assert [file.exists_sync() for file in sent([File(table)] * 300, list[File], raw)] == [True] * 300


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        (File("/no/such"), File, r"f: expected File, got File\(path='/no/such'\): there is no file at /no/such"),
        (File("/etc"), File, "there is no file at /etc, but a folder"),
        (Dir("/etc/passwd"), Dir, "there is no folder at /etc/passwd, but a file"),
        (3, File, "f: expected File, got int 3"),
        (Dir("/etc"), File, "f: expected File, got Dir"),
        ("s3://bucket/key", File | Dir, "it is ambiguous: File and Dir both hold it"),
    ],
)
def test_what_cannot_be_sent(value: Any, hint: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=message):
        TypeEngine.to_literal(RawData(tmp_path), value, hint, None, subject="f")


def test_a_folder_is_no_file() -> None:
    literal = TypeEngine.to_literal(Dir("s3://bucket/folder"), Dir, None)
    with pytest.raises(ConversionError, match="expected File, got a blob scalar"):
        TypeEngine.to_python_value(literal, File)


def test_a_missing_download_says_what_is_missing() -> None:
    with pytest.raises(FileNotFoundError, match="there is no file at /no/such"):
        File("/no/such").download()


def test_a_hostile_listing_writes_nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(self: MemoryFileSystem, path: str) -> list[str]:
        return [f"{path}/../../evil.txt"]

    MemoryFileSystem().pipe_file("/bad/folder/x", b"x")
    monkeypatch.setattr(MemoryFileSystem, "find", find)
    with pytest.raises(ConversionError, match="which is outside of the folder"):
        Dir("memory://bad/folder").download(tmp_path / "a" / "b" / "c")
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tasksdk\[s3\]'"):
        File("s3://bucket/key").exists()
