"""Wheels that no installer should take: a clear error, and nothing written."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from imagebuilder.errors import SourceError
from imagebuilder.layers import InstallTarget, Limits, WheelFile, assemble

from .conftest import MakeWheel, leftovers, record_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CENTRAL, LOCAL, END = b"PK\1\2", b"PK\3\4", b"PK\5\6"


def refuse(path: Path, store: Path, match: str, limits: Limits | None = None) -> None:
    with pytest.raises(SourceError, match=match) as caught:
        assemble([WheelFile(path, limits=limits)], InstallTarget(), store)
    assert path.name in caught.value.message
    assert caught.value.hint
    assert leftovers(store) == []


def central(data: bytes, name: bytes) -> int:
    """Where the central header of a member starts."""
    at = data.find(CENTRAL)
    while data[at + 46 : at + 46 + len(name)] != name:
        at = data.find(CENTRAL, at + 4)
        assert at > 0
    return at


def local(data: bytes, name: bytes) -> int:
    return struct.unpack_from("<L", data, central(data, name) + 42)[0]


def patch(path: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "a/../../evil.py",
        "demo/../evil.py",
        "/etc/passwd",
        "//etc/passwd",
        "C:/evil.py",
        "c:evil.py",
        "a\\..\\evil.py",
        "a//b.py",
        "./a.py",
        "a/./b.py",
        "a\nb.py",
        "a\x7fb.py",
        "x" * 256,
        "/".join(["x" * 200] * 20),
    ],
)
def test_names_that_lead_elsewhere(make_wheel: MakeWheel, store: Path, name: str) -> None:
    refuse(make_wheel({"demo.py": b"", name: b"evil"}), store, "member")


@pytest.mark.parametrize("name", ["../../../../etc/passwd", "/etc/passwd", "a/../b"])
@pytest.mark.parametrize("scheme", ["data", "scripts", "purelib", "headers"])
def test_data_schemes_that_lead_elsewhere(make_wheel: MakeWheel, store: Path, scheme: str, name: str) -> None:
    refuse(make_wheel({f"demo-1.0.data/{scheme}/{name}": b"evil"}), store, "path")


@pytest.mark.parametrize("name", ["demo-1.0.data/nowhere/x", "demo-1.0.data/x"])
def test_data_for_no_scheme(make_wheel: MakeWheel, store: Path, name: str) -> None:
    refuse(make_wheel({name: b"evil"}), store, "no place")


@pytest.mark.parametrize(
    "name",
    [
        "demo-1.0.data/scripts/python",
        "demo-1.0.data/scripts/python3.11",
        "demo-1.0.data/data/bin/python3",
        "demo-1.0.data/data/pyvenv.cfg",
        "demo-1.0.data/data/lib64",
        "demo-1.0.data/data/bin",
        "demo-1.0.data/scripts/activate",
    ],
)
def test_replacing_the_environments_own_files(make_wheel: MakeWheel, store: Path, name: str) -> None:
    refuse(make_wheel({name: b"evil"}), store, "environment's own")


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("../evil = demo:main", "no file's"),
        ("a/b = demo:main", "no file's"),
        (".. = demo:main", "no file's"),
        ("python = demo:main", "environment's own"),
        ("run = demo", "names no function"),
        ("run = demo:main; import os", "names no function"),
        ("run = demo:main()", "names no function"),
        ("run = demo import x\\nevil:main", "names no function"),
        ("run = demo:1x", "names no function"),
        ("run = ..demo:x", "names no function"),
        ("run", "cannot be read"),
    ],
)
def test_entry_points_that_are_code_or_paths(make_wheel: MakeWheel, store: Path, line: str, match: str) -> None:
    text = f"[console_scripts]\n{line}\n".encode()
    refuse(make_wheel({"demo-1.0.dist-info/entry_points.txt": text}), store, match)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice(make_wheel: MakeWheel, store: Path) -> None:
    path = make_wheel({"demo.py": b"good"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("demo.py", b"evil")
    refuse(path, store, "there twice")


def test_one_place_twice(make_wheel: MakeWheel, store: Path) -> None:
    refuse(make_wheel({"demo.py": b"good", "demo-1.0.data/purelib/demo.py": b"evil"}), store, "twice")


@pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a")])
def test_a_file_that_is_a_folder_as_well(make_wheel: MakeWheel, store: Path, order: tuple[str, str]) -> None:
    refuse(make_wheel(dict.fromkeys(order, b"x")), store, "a file and a folder")


@pytest.mark.parametrize(
    ("mode", "match"), [(0o120777, "symbolic link"), (0o010644, "neither"), (0o020644, "neither"), (0o040755, "folder")]
)
def test_members_that_are_no_files(make_wheel: MakeWheel, store: Path, mode: int, match: str) -> None:
    refuse(make_wheel({"link": b"/etc/passwd"}, modes={"link": mode}), store, match)


def test_a_folder_with_content(make_wheel: MakeWheel, store: Path) -> None:
    refuse(make_wheel(extra={"folder/": b"content"}, modes={"folder/": 0o040755}), store, "folder with content")


def test_encrypted_members(make_wheel: MakeWheel, store: Path) -> None:
    def change(data: bytearray) -> None:
        data[central(data, b"demo.py") + 8] |= 1
        data[local(data, b"demo.py") + 6] |= 1

    refuse(patch(make_wheel(), change), store, "encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions(make_wheel: MakeWheel, store: Path, method: int) -> None:
    refuse(make_wheel(method=method), store, "compressed in a way")


@pytest.mark.parametrize("big", [b"\0" * 3_000_000])
def test_bombs_by_what_they_declare(make_wheel: MakeWheel, store: Path, big: bytes) -> None:
    path = make_wheel({"big.py": big})
    refuse(path, store, "would unpack to", Limits(free=1_000_000))
    refuse(path, store, "would unpack to", Limits(total=1_000_000))
    refuse(path, store, "members", Limits(members=3))


@pytest.mark.parametrize("said", [10, 2_999_999, 3_000_001])
def test_bombs_by_what_they_hide(make_wheel: MakeWheel, store: Path, said: int) -> None:
    def change(data: bytearray) -> None:
        struct.pack_into("<L", data, central(data, b"big.py") + 24, said)
        struct.pack_into("<L", data, local(data, b"big.py") + 22, said)

    big = b"\0" * 3_000_000
    files = {"big.py": big}
    path = make_wheel(files, record=b"")
    own = "demo-1.0.dist-info/RECORD"
    with zipfile.ZipFile(path) as archive:
        listed = {name: archive.read(name) for name in archive.namelist() if name != own}
    record = record_of(listed, own).replace(b",3000000", b",%d" % said)
    refuse(patch(make_wheel(files, record=record), change), store, "longer than|has 3000000 bytes|damaged")


@pytest.mark.parametrize("at", [10, 14, 18, 22])
def test_local_headers_that_say_otherwise(make_wheel: MakeWheel, store: Path, at: int) -> None:
    def change(data: bytearray) -> None:
        where = local(data, b"demo.py") + {10: 8}.get(at, at)
        data[where] ^= 8 if at == 10 else 1

    refuse(patch(make_wheel(), change), store, "member 'demo.py'")


def test_another_name_in_the_local_header(make_wheel: MakeWheel, store: Path) -> None:
    def change(data: bytearray) -> None:
        start = local(data, b"demo.py") + 30
        data[start : start + 7] = b"evil.py"

    refuse(patch(make_wheel(), change), store, "another name")


def test_a_checksum_that_both_headers_get_wrong(make_wheel: MakeWheel, store: Path) -> None:
    def change(data: bytearray) -> None:
        data[central(data, b"demo.py") + 16] ^= 1
        data[local(data, b"demo.py") + 14] ^= 1

    refuse(patch(make_wheel(), change), store, "damaged")
    refuse(patch(make_wheel(method=zipfile.ZIP_STORED), change), store, "damaged")


def test_members_that_overlap(make_wheel: MakeWheel, store: Path) -> None:
    def change(data: bytearray) -> None:
        struct.pack_into("<L", data, central(data, b"b.py") + 42, local(data, b"a.py"))
        data[central(data, b"b.py") + 46] = ord("a")

    refuse(patch(make_wheel({"a.py": b"same", "b.py": b"same"}), change), store, "overlap")


def test_a_stream_that_ends_before_its_data(make_wheel: MakeWheel, store: Path) -> None:
    def deflate(data: bytes) -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(data) + packer.flush()

    # A stored member of the right length, relabelled: the deflate stream in it is followed by other bytes.
    short = deflate(b"x = 1\n")
    content = short + b"evil" * 8

    def change(data: bytearray) -> None:
        for at, sizes, crc in ((central(data, b"demo.py"), 20, 16), (local(data, b"demo.py"), 18, 14)):
            struct.pack_into("<H", data, at + (10 if sizes == 20 else 8), 8)
            struct.pack_into("<2L", data, at + sizes, len(content), 6)
            struct.pack_into("<L", data, at + crc, zlib.crc32(b"x = 1\n"))

    good = make_wheel({"demo.py": b"x = 1\n"})
    with zipfile.ZipFile(good) as archive:
        record = archive.read("demo-1.0.dist-info/RECORD")
    path = make_wheel({"demo.py": content}, method=zipfile.ZIP_STORED, record=record)
    refuse(patch(path, change), store, "ends before|damaged")


def test_names_that_are_not_text(make_wheel: MakeWheel, store: Path) -> None:
    def change(replacement: bytes, flag: int) -> Callable[[bytearray], None]:
        def patched(data: bytearray) -> None:
            for at, name, flags in ((central(data, b"demo.py"), 46, 9), (local(data, b"demo.py"), 30, 7)):
                data[at + name : at + name + 4] = replacement
                data[at + flags] |= flag

        return patched

    refuse(patch(make_wheel(), change(b"\xff\xfe__", 8)), store, "not UTF-8")
    refuse(patch(make_wheel(), change("éé".encode(), 0)), store, "not marked")
    refuse(patch(make_wheel(), change(b"a\0b_", 0)), store, "named")


@pytest.mark.parametrize("junk", [b"junk", b"PK\5\6"])
def test_something_before_or_behind(make_wheel: MakeWheel, store: Path, junk: bytes) -> None:
    path = make_wheel()
    good = path.read_bytes()
    path.write_bytes(good + junk)
    refuse(path, store, "end-of-directory|not a zip")
    path.write_bytes(junk + good)
    refuse(path, store, "not where")


def test_every_cut(make_wheel: MakeWheel, store: Path) -> None:
    path = make_wheel()
    good = path.read_bytes()
    for length in range(0, len(good), 7):
        path.write_bytes(good[:length])
        refuse(path, store, "not a wheel that can be installed")


def test_every_byte_changed(make_wheel: MakeWheel, store: Path) -> None:
    """Whatever byte is wrong: an error of ours, or the same files."""
    path = make_wheel()
    good = path.read_bytes()
    right = assemble([WheelFile(path)], InstallTarget(), store)[0].diff_id
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1 :])
        try:
            made = assemble([WheelFile(path)], InstallTarget(), store / "other", workers=1)[0]
        except SourceError:
            continue
        assert made.diff_id == right or b"PK" in good[at - 60 : at + 60]  # a time or a mode in a header


def test_a_record_that_says_otherwise(make_wheel: MakeWheel, store: Path) -> None:
    path = make_wheel()
    with zipfile.ZipFile(path) as archive:
        record = archive.read("demo-1.0.dist-info/RECORD")
    lines = record.splitlines(keepends=True)
    hashed = lines[0].split(b",")[1]
    for wrong, match in (
        (record.replace(hashed, b"sha256=" + b"A" * 43), "digests differ"),
        (record.replace(hashed, b"md5=" + b"A" * 22), "sha256 or better"),
        (record.replace(hashed, b"sha256=AAAA"), "sha256 or better"),
        (record.replace(hashed, b""), "no digest"),
        (record.replace(b",6\n", b",7\n", 1), "says that 'demo.py' has 7 bytes"),
        (record.replace(b",6\n", b",x\n", 1), "bytes"),
        (b"".join(lines[1:]), "does not list 'demo.py'"),
        (lines[0] + record, "twice"),
        (record + b"gone.py," + hashed + b",6\n", "does not have"),
        (record + b"../../evil," + hashed + b",6\n", "does not have"),
        (record + b"one\n", "fields"),
        (b"\xff" + record, "cannot be read"),
        (b'"' + record, "cannot be read|fields|does not list"),
    ):
        refuse(make_wheel(record=wrong), store, match)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"dist_info": "other-1.0.dist-info"}, "another project"),
        ({"dist_info": "demo-2.0.dist-info"}, "another project"),
        ({"metadata": b"Name: other\nVersion: 1.0\n"}, "METADATA is of"),
        ({"metadata": b"Name: demo\nVersion: 2.0\n"}, "METADATA is of"),
        ({"metadata": b"nothing\n"}, "METADATA is of"),
        ({"wheel": b"Wheel-Version: 2.0\n"}, "wheel version"),
        ({"wheel": b"nothing"}, "wheel version"),
        ({"extra": {"a-1.dist-info/METADATA": b""}}, "2 folders"),
        ({"extra": {"secret.py": b"evil"}}, "does not list"),
    ],
)
def test_metadata_of_something_else(
    make_wheel: MakeWheel, store: Path, settings: dict[str, object], match: str
) -> None:
    refuse(make_wheel(**settings), store, match)


@pytest.mark.parametrize("name", ["demo.whl", "demo-1.0.zip", "demo-1.0-py3-none-any.WHL", "-1.0-py3-none-any.whl"])
def test_files_that_are_not_named_as_wheels(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="not named as a wheel"):
        WheelFile(tmp_path / name)


def test_paths_that_are_no_files(tmp_path: Path, store: Path) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    with pytest.raises(SourceError, match="cannot be read"):
        WheelFile(path)
    path.mkdir()
    refuse(path, store, "regular file")
