"""What a snapshot holds, what it refuses, and what it survives."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagebuilder.errors import SourceError
from imagebuilder.sources import File, Folder, Link, StatCache, content, snapshot_file, take_snapshot, walk
from imagebuilder.sources.stat_cache import KEY_SIZE, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

SHA256_OF_A = hashlib.sha256(b"a").hexdigest()


def digest(root: Path) -> str:
    return take_snapshot(root).digest


# --- kinds ---


def test_every_kind_of_entry_in_the_order_of_its_path(make_tree) -> None:
    root = make_tree({"b/run*": "a", "b-c": "", "empty/": None, "a@": "b/run", "é": "é", "~": ""})
    assert take_snapshot(root).entries == (
        Link("a", "b/run"),
        Folder("b"),
        File("b-c", False, 0, take_snapshot(root).files()[0].sha256),
        File("b/run", True, 1, SHA256_OF_A),
        Folder("empty"),
        File("~", False, 0, take_snapshot(root).files()[2].sha256),
        File("é", False, 2, take_snapshot(root).files()[3].sha256),
    )
    assert take_snapshot(root).total_bytes == 3


def test_an_empty_root(make_tree) -> None:
    assert take_snapshot(make_tree({})).entries == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a/b.py": "x"}, {"ab.py": "x"}),
        ({"a": "x"}, {"a*": "x"}),
        ({"a": "x"}, {"a": "y"}),
        ({"a": "x"}, {"b": "x"}),
        ({}, {"empty/": None}),
        ({"a": "x", "b": "x"}, {"a": "x", "b@": "a"}),
        ({"a": "x", "b@": "a"}, {"a": "x", "b@": "c"}),
        ({"b@": "gone"}, {"b": "gone"}),
        ({"b@": "gone"}, {"b@": "./gone"}),
        ({"b@": "gone"}, {}),
        ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}),
        ({"a*": "", "b": ""}, {"a": "", "b*": ""}),
        ({"a/": None}, {"a": ""}),
    ],
)
def test_what_matters(make_tree, one, other) -> None:
    assert digest(make_tree(one, "one")) != digest(make_tree(other, "other"))


def test_creation_order_times_and_place_do_not_matter(make_tree) -> None:
    names = [f"{folder}/{name}" for folder in "abc" for name in "xyz"]
    one = make_tree(dict.fromkeys(names, "1"), "one")
    other = make_tree(dict.fromkeys(reversed(names), "1"), "somewhere/else")
    os.utime(other / "a/x", (1, 1))
    assert digest(one) == digest(other)


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o640, 0o644, 0o4644, 0o655])
def test_of_a_mode_only_the_owners_exec_bit_counts(make_tree, mode: int) -> None:
    root = make_tree({"a": ""})
    before = digest(root)
    (root / "a").chmod(mode)
    assert digest(root) == before
    (root / "a").chmod(mode | stat.S_IXUSR)
    assert digest(root) != before


def test_hard_links_are_files(make_tree) -> None:
    root = make_tree({"a": "a"})
    os.link(root / "a", root / "b")
    assert [(file.path, file.sha256) for file in take_snapshot(root).files()] == [
        ("a", SHA256_OF_A),
        ("b", SHA256_OF_A),
    ]


@pytest.mark.parametrize("when", [-(10**9), 0, 2**33, 2**34 - 1])
def test_a_time_in_the_far_past_or_future_is_no_error(make_tree, tmp_path: Path, when: int) -> None:
    root = make_tree({"a": "a"})
    os.utime(root / "a", (when, when))
    with_cache = take_snapshot(root, cache=StatCache(tmp_path / "cache"))
    assert with_cache == take_snapshot(root)


def test_times_that_overflow_64_bits_of_nanoseconds_are_packed() -> None:
    assert len(pack((1, 2, 3, 2**34 * 10**9, -1))) == KEY_SIZE


# --- the root ---


def test_the_root_may_be_a_link_or_end_in_a_slash_or_be_relative(
    make_tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree({"a/b": "c"})
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    assert {digest(root), digest(f"{root}/"), digest(tmp_path / "link"), digest("tree"), digest("./tree/a/..")} == {
        digest(root)
    }
    assert take_snapshot("tree").root == str(root)


def test_a_missing_root_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=f"folder {tmp_path}/nowhere does not exist"):
        take_snapshot("nowhere")


def test_a_root_that_is_a_file(make_tree) -> None:
    with pytest.raises(SourceError, match="needed"):
        take_snapshot(make_tree({"a": ""}) / "a")


# --- links ---


@pytest.mark.parametrize(
    "tree",
    [
        {"a@": "nowhere"},
        {"a@": "a"},
        {"a@": "b", "b@": "a"},
        {"a/b@": "../c", "c": ""},
        {"a/b/c@": "../../d/../a", "d/": None},
        {"a@": "."},
        {"a@": "b/c/../..", "b/c/": None},
        {"deep/link@": "dir/../../top", "deep/dir@": "sub/sub", "deep/sub/sub/": None, "top": ""},
    ],
)
def test_links_that_stay_inside_are_kept_as_written(make_tree, tree) -> None:
    assert {(link.path, link.target) for link in take_snapshot(make_tree(tree)).links} == {
        (name[:-1], target) for name, target in tree.items() if name.endswith("@")
    }


@pytest.mark.parametrize("target", ["..", "../x", "a/../../x", "../tree/a", "./.././x"])
def test_a_link_that_leaves_is_refused(make_tree, target: str) -> None:
    root = make_tree({"a": "", "b@": target})
    with pytest.raises(SourceError, match=f"{root}/b is a symbolic link to {target}, which is outside"):
        take_snapshot(root)


def test_a_link_that_leaves_through_another_link_is_refused(make_tree) -> None:
    root = make_tree({"here@": ".", "x/link@": "../here/../y", "y": ""})
    with pytest.raises(SourceError, match="x/link is a symbolic link"):
        take_snapshot(root)


@pytest.mark.parametrize("inside", [True, False])
def test_an_absolute_link_is_refused(make_tree, inside: bool) -> None:
    root = make_tree({"a": ""})
    target = str(root / "a") if inside else "/etc/passwd"
    (root / "b").symlink_to(target)
    with pytest.raises(SourceError, match=f"{root}/b is a symbolic link to {target}, an absolute path"):
        take_snapshot(root)


def test_a_link_to_a_folder_is_not_followed(make_tree) -> None:
    root = make_tree({"a/b": "", "c@": "a"})
    assert [entry.path for entry in take_snapshot(root).entries] == ["a", "a/b", "c"]


def test_an_ignored_link_may_lead_anywhere(make_tree) -> None:
    assert not take_snapshot(make_tree({"b@": "/etc/passwd"}), ["b"]).entries


# --- what cannot be part of an image ---


def test_a_fifo_is_an_error_at_once(make_tree) -> None:
    root = make_tree({"a/b": ""})
    os.mkfifo(root / "a/pipe")
    with pytest.raises(SourceError, match=f"{root}/a/pipe is a FIFO"):
        take_snapshot(root)
    assert [file.path for file in take_snapshot(root, ["a/pipe"]).files()] == ["a/b"]


def test_a_socket_is_an_error_at_once(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({"a": ""})
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        with pytest.raises(SourceError, match=f"{root}/sock is a socket"):
            take_snapshot(root)
        assert take_snapshot(root, ["sock"]).files()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_an_error(make_tree) -> None:
    root = make_tree({})
    try:
        os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("not in this container")
    with pytest.raises(SourceError, match="null is a character device"):
        take_snapshot(root)


def test_a_file_that_becomes_a_fifo_does_not_hang(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({"a": "a"})

    def swap(paths, sizes):
        (root / "a").unlink()
        os.mkfifo(root / "a")
        return content.hash_files(paths, sizes)

    monkeypatch.setattr(walk, "hash_files", swap)
    with pytest.raises(SourceError, match="a is a FIFO"):
        take_snapshot(root)


def test_a_file_that_becomes_a_link_is_not_followed(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({"a": "a"})

    def swap(paths, sizes):
        (root / "a").unlink()
        (root / "a").symlink_to("/etc/passwd")
        return content.hash_files(paths, sizes)

    monkeypatch.setattr(walk, "hash_files", swap)
    with pytest.raises(SourceError, match="cannot be read"):
        take_snapshot(root)


@pytest.mark.parametrize("name", [b"caf\xe9", b"sub/caf\xe9"])
def test_a_name_that_is_not_utf8(make_tree, name: bytes) -> None:
    root = make_tree({"sub/": None})
    Path(os.fsdecode(os.path.join(os.fsencode(root), name))).touch()
    with pytest.raises(SourceError, match=r"caf\\udce9 has a name that is not UTF-8"):
        take_snapshot(root)
    assert take_snapshot(root, ["**/caf*"])


def test_a_folder_or_link_that_is_not_utf8(make_tree) -> None:
    one, other = make_tree({}, "one"), make_tree({}, "other")
    os.mkdir(os.fsencode(one) + b"/caf\xe9")
    os.symlink(b"caf\xe9", os.fsencode(other) + b"/link")
    with pytest.raises(SourceError, match="has a name"):
        take_snapshot(one)
    with pytest.raises(SourceError, match="link is a symbolic link with a target that is not UTF-8"):
        take_snapshot(other)


@pytest.mark.parametrize("name", ["new\nline", " space ", "tab\t", "quote'\"", "日本語", "-rf", "back\\slash", "*"])
def test_odd_names_are_fine(make_tree, name: str) -> None:
    assert [file.path for file in take_snapshot(make_tree({"x": ""} | {})).files()] == ["x"]
    root = make_tree({}, "odd")
    root.joinpath(name).touch()
    assert [file.path for file in take_snapshot(root).files()] == [name]


# --- unreadable ---


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that any user may enter; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.parametrize("name", ["file", "folder"])
def test_what_cannot_be_read_is_named(public_folder: Path, name: str) -> None:
    public_folder.joinpath("file").write_text("secret")
    public_folder.joinpath("folder").mkdir()
    (public_folder / name).chmod(0)
    root = os.getuid() == 0
    try:
        if root:
            os.seteuid(65534)  # root reads everything
        with pytest.raises(SourceError, match=f"{public_folder}/{name} cannot be read: Permission denied"):
            take_snapshot(public_folder)
        take_snapshot(public_folder, [name])
    finally:
        if root:
            os.seteuid(0)
        (public_folder / name).chmod(0o700)


def test_a_read_error_is_named(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({"a": "a"})

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(SourceError, match=f"{root}/a cannot be read: Input/output error"):
        take_snapshot(root, dockerignore=False)


# --- vanishing, growing, huge ---


def test_a_file_that_vanishes_after_being_listed_was_never_there(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({"a": "a", "b": "b", "c*": "c"})
    expected = take_snapshot(root, ["b"])

    def vanish(paths, sizes):
        (root / "b").unlink()
        return content.hash_files(paths, sizes)

    monkeypatch.setattr(walk, "hash_files", vanish)
    assert take_snapshot(root).entries == expected.entries


@pytest.mark.parametrize("victim", ["a", "d", "l"])
def test_what_vanishes_during_the_walk_was_never_there(make_tree, monkeypatch: pytest.MonkeyPatch, victim: str) -> None:
    root = make_tree({"a": "", "d/e": "", "l@": "a"})
    expected = take_snapshot(root, [victim])
    listdir = os.listdir

    def vanish(folder):
        names = listdir(folder)
        path = root / victim
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return names

    monkeypatch.setattr(os, "listdir", vanish)
    assert take_snapshot(root).entries == expected.entries


def test_a_file_that_grows_while_it_is_read_is_taken_as_read(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({"log": "a"})

    def grow(paths, sizes):
        (root / "log").write_text("a" * 5000)
        return content.hash_files(paths, sizes)

    monkeypatch.setattr(walk, "hash_files", grow)
    (file,) = take_snapshot(root).files()
    monkeypatch.undo()
    assert file == take_snapshot(root).files()[0]
    assert file.size == 5000


def test_a_large_file_is_read_in_pieces(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(3 * content.CHUNK + 17)
    root = make_tree({"large": data})
    asked: list[int] = []
    real = os.read
    monkeypatch.setattr(os, "read", lambda file, size: (asked.append(size), real(file, size))[1])
    assert take_snapshot(root).files()[0].sha256 == hashlib.sha256(data).hexdigest()
    assert max(asked) <= content.CHUNK


def test_several_large_files_among_small_ones(make_tree) -> None:
    tree = {f"f{i:02}": os.urandom(2 * content.CHUNK if i % 4 == 0 else 10) for i in range(12)}
    files = take_snapshot(make_tree(tree)).files()
    assert {file.path: file.sha256 for file in files} == {
        name: hashlib.sha256(d).hexdigest() for name, d in tree.items()
    }


def test_an_error_in_one_of_several_large_files_is_raised(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({f"f{i}": os.urandom(2 * content.CHUNK) for i in range(4)})

    def swap(paths, sizes):
        (root / "f2").unlink()
        os.mkfifo(root / "f2")
        return content.hash_files(paths, sizes)

    monkeypatch.setattr(walk, "hash_files", swap)
    with pytest.raises(SourceError, match="f2 is a FIFO"):
        take_snapshot(root)


def test_a_tree_deeper_than_pythons_recursion_limit(make_tree) -> None:
    root = make_tree({})
    folders = [f"{root}{'/d' * depth}" for depth in range(1, 1200)]
    for folder in folders:
        os.mkdir(folder)
    try:
        assert len(take_snapshot(root).folders) == len(folders)
    finally:
        for folder in reversed(folders):  # pytest's own clean-up recurses
            os.rmdir(folder)


# --- single files ---


def test_one_file(make_tree) -> None:
    root = make_tree({"a*": "a", "sub/b": "a"})
    assert snapshot_file(root / "a") == File("a", True, 1, SHA256_OF_A)
    assert snapshot_file(f"{root}/sub/b") == File("b", False, 1, SHA256_OF_A)


def test_one_file_behind_a_link_is_the_file(make_tree, tmp_path: Path) -> None:
    tmp_path.joinpath("real").write_text("a")
    root = make_tree({"link@": "../real"})
    assert snapshot_file(root / "link") == File("link", False, 1, SHA256_OF_A)


def test_one_file_that_is_none(make_tree, tmp_path: Path) -> None:
    root = make_tree({"folder/": None, "dangling@": "nowhere"})
    os.mkfifo(root / "fifo")
    for name, why in {
        "folder": "is a folder",
        "fifo": "is a FIFO",
        "no": "does not exist",
        "dangling": "does not",
    }.items():
        with pytest.raises(SourceError, match=f"{root}/{name} {why}"):
            snapshot_file(root / name)
