"""The build gets exactly the bytes that were identified, or an error that names the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagebuilder.errors import BuildError, SourceChangedError
from imagebuilder.sources import content, snapshot_file, stage, stage_file, take_snapshot

if TYPE_CHECKING:
    from pathlib import Path

TREE = {"src/a.py": "1", "src/run*": "2", "src/empty/": None, "src/link@": "a.py", "dangling@": "nowhere", "zero": ""}


def modes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): oct(path.lstat().st_mode & 0o7777)
        for path in folder.rglob("*")
        if not path.is_symlink()
    }


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_copy_has_the_same_digest_and_plain_modes(make_tree, tmp_path: Path, umask: int) -> None:
    root = make_tree(TREE)
    (root / "src/a.py").chmod(0o4600)
    snapshot = take_snapshot(root)
    before = os.umask(umask)
    try:
        stage(snapshot, tmp_path / "new" / "copy")
    finally:
        os.umask(before)
    copy = tmp_path / "new/copy"
    assert take_snapshot(copy, defaults=False, dockerignore=False) == snapshot
    assert os.readlink(copy / "dangling") == "nowhere"
    expected = {"src": "0o755", "src/a.py": "0o644", "src/run": "0o755", "src/empty": "0o755", "zero": "0o644"}
    assert modes(copy) == expected


def test_times_are_those_of_the_copy(make_tree, tmp_path: Path) -> None:
    root = make_tree({"a": "1"})
    os.utime(root / "a", (1, 1))
    stage(take_snapshot(root), tmp_path / "copy")
    assert (tmp_path / "copy/a").stat().st_mtime > 1_000_000_000


def test_only_what_the_snapshot_holds_is_copied(make_tree, tmp_path: Path) -> None:
    root = make_tree({"a": "1", ".env": "secret", "b": "2"})
    snapshot = take_snapshot(root, ["b"])
    (root / "new").touch()
    stage(snapshot, tmp_path / "copy")
    assert os.listdir(tmp_path / "copy") == ["a"]


@pytest.mark.parametrize("size", [1, content.CHUNK - 1, content.CHUNK, content.CHUNK + 1, 2 * content.CHUNK + 7])
def test_a_file_of_any_size(make_tree, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    root = make_tree({"a": data})
    snapshot = take_snapshot(root)
    stage(snapshot, tmp_path / "copy")
    assert (tmp_path / "copy/a").read_bytes() == data
    with (root / "a").open("r+b") as file:
        file.seek(size - 1)
        file.write(bytes([data[-1] ^ 1]))
    with pytest.raises(SourceChangedError, match="a changed"):
        stage(snapshot, tmp_path / "again")


def edit(path: Path) -> None:
    path.write_text("2")


def grow(path: Path) -> None:
    path.write_text("12")


def truncate(path: Path) -> None:
    path.write_text("")


def to_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [edit, grow, truncate, to_link, to_folder, to_fifo])
def test_a_file_that_changed_is_named(make_tree, tmp_path: Path, change) -> None:
    root = make_tree({"app/main.py": "1", "b": "1"})
    snapshot = take_snapshot(root)
    change(root / "app/main.py")
    with pytest.raises(SourceChangedError) as caught:
        stage(snapshot, tmp_path / "copy")
    assert caught.value.message.startswith("app/main.py ")
    assert caught.value.message.endswith("while the image was being built")
    assert caught.value.hint == "run the command again"


def test_a_file_that_vanished_is_named(make_tree, tmp_path: Path) -> None:
    root = make_tree({"app/main.py": "1"})
    snapshot = take_snapshot(root)
    (root / "app/main.py").unlink()
    with pytest.raises(SourceChangedError, match=r"app/main\.py vanished while the image was being built"):
        stage(snapshot, tmp_path / "copy")


def test_a_mode_that_changed_since_does_not_reach_the_copy(make_tree, tmp_path: Path) -> None:
    root = make_tree({"a": "1"})
    snapshot = take_snapshot(root)
    (root / "a").chmod(0o755)
    stage(snapshot, tmp_path / "copy")
    assert modes(tmp_path / "copy") == {"a": "0o644"}


def test_a_link_that_was_retargeted_since_does_not_reach_the_copy(make_tree, tmp_path: Path) -> None:
    root = make_tree({"a@": "b"})
    snapshot = take_snapshot(root)
    (root / "a").unlink()
    (root / "a").symlink_to("/etc/passwd")
    stage(snapshot, tmp_path / "copy")
    assert os.readlink(tmp_path / "copy/a") == "b"


def test_a_folder_that_is_not_empty_is_refused(make_tree, tmp_path: Path) -> None:
    snapshot = take_snapshot(make_tree({"a": "1"}))
    make_tree({"a": "2"}, "copy")
    with pytest.raises(BuildError, match=r"cannot be written: .*copy/a: File exists"):
        stage(snapshot, tmp_path / "copy")


def test_what_cannot_be_written_is_a_build_error(make_tree, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match="Not a directory"):
        stage(take_snapshot(make_tree({"a": "1"})), tmp_path / "file" / "copy")


def test_one_file(make_tree, tmp_path: Path) -> None:
    root = make_tree({"real*": "1", "link@": "real"})
    file = snapshot_file(root / "link")
    stage_file(file, root / "link", tmp_path / "copy")
    assert not (tmp_path / "copy").is_symlink()
    assert (tmp_path / "copy").read_text() == "1"
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o755
    (root / "real").write_text("2")
    with pytest.raises(SourceChangedError, match="link changed"):
        stage_file(file, root / "link", tmp_path / "again")


NAMES = st.sampled_from(["a", "b", "c.py", "é", " "])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CONTENTS = st.one_of(st.binary(max_size=20), st.none(), st.sampled_from(["a", "b/c.py", "."]))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(PATHS, st.tuples(CONTENTS, st.booleans()), max_size=6))
def test_a_copy_of_any_tree_has_the_same_digest(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, tuple[bytes | str | None, bool]]
) -> None:
    place = tmp_path_factory.mktemp("stage")
    root = place / "tree"
    root.mkdir()
    for name, (value, executable) in tree.items():
        path = root / name
        if os.path.lexists(path) or any(parent.is_file() or parent.is_symlink() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if value is None:
            path.mkdir()
        elif isinstance(value, str):
            path.symlink_to(value)
        else:
            path.write_bytes(value)
            path.chmod(0o755 if executable else 0o644)
    snapshot = take_snapshot(root)
    stage(snapshot, place / "copy")
    assert take_snapshot(place / "copy") == snapshot
