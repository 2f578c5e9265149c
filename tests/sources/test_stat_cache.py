"""The cache makes unchanged files free, is never believed when it could be wrong, and never fails a command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imagebuilder.sources import Sources, StatCache, content, snapshot_file, stat_cache, take_snapshot, walk

Later = Callable[[], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """From then on every file is old enough to be remembered."""
    real = time.time_ns
    return lambda: monkeypatch.setattr(walk.time, "time_ns", lambda: real() + 10 * 10**9)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    names: list[str] = []
    real = content.hash_file

    def hash_file(path: str, *rest: int) -> content.Content | None:
        names.append(os.path.basename(path))
        return real(path, *rest)

    monkeypatch.setattr(content, "hash_file", hash_file)
    monkeypatch.setattr(walk, "hash_file", hash_file)
    return names


def snap(root: Path, folder: Path | None, *patterns: str) -> str:
    """One command: a new cache object each time."""
    cache = StatCache(folder)
    digest = take_snapshot(root, patterns, cache=cache).digest
    cache.save()
    return digest


def test_an_unchanged_tree_is_not_read_again(make_tree, tmp_path: Path, later: Later, read: list[str]) -> None:
    root = make_tree({"a": "1", "b/c": "2"})
    later()
    first = snap(root, tmp_path / "cache")
    assert sorted(read) == ["a", "c"]
    read.clear()
    assert snap(root, tmp_path / "cache") == first
    assert read == []


def test_only_what_changed_is_read(make_tree, tmp_path: Path, later: Later, read: list[str]) -> None:
    root = make_tree({"a": "1", "b": "2", "c": "3"})
    later()
    snap(root, tmp_path / "cache")
    read.clear()
    time.sleep(0.02)  # a tick of the file system's clock
    (root / "b").write_text("4")
    changed = snap(root, tmp_path / "cache")
    assert read == ["b"]
    assert changed == take_snapshot(root).digest
    read.clear()
    assert snap(root, tmp_path / "cache") == changed
    assert read == []


def test_a_file_just_written_is_not_remembered(make_tree, tmp_path: Path, read: list[str]) -> None:
    root = make_tree({"a": "1"})
    snap(root, tmp_path / "cache")
    snap(root, tmp_path / "cache")
    assert read == ["a", "a"]


def test_an_old_mtime_alone_does_not_make_a_file_old(make_tree, tmp_path: Path, read: list[str]) -> None:
    root = make_tree({"a": "1"})
    os.utime(root / "a", (1, 1))
    snap(root, tmp_path / "cache")
    snap(root, tmp_path / "cache")
    assert read == ["a", "a"]


def test_an_edit_in_the_same_second_is_seen(make_tree, tmp_path: Path) -> None:
    root = make_tree({"a": "1"})
    before = os.stat(root / "a")
    digests = {snap(root, tmp_path / "cache")}
    for text in "23456789":
        (root / "a").write_text(text)
        os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
        digests.add(snap(root, tmp_path / "cache"))
    assert len(digests) == 9


def test_an_edit_that_restores_size_and_mtime_is_seen(make_tree, tmp_path: Path, later: Later, read: list[str]) -> None:
    root = make_tree({"a": "1"})
    later()
    first = snap(root, tmp_path / "cache")
    before = os.stat(root / "a")
    time.sleep(0.02)
    (root / "a").write_text("2")
    os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert snap(root, tmp_path / "cache") != first
    assert read == ["a", "a"]


def test_a_replacement_with_the_same_times_is_seen(make_tree, tmp_path: Path, later: Later) -> None:
    root = make_tree({"a": "1", "b": "2"})
    for name in "ab":
        os.utime(root / name, (1, 1))
    later()
    first = snap(root, tmp_path / "cache")
    (root / "b").replace(root / "a")
    assert snap(root, tmp_path / "cache") != first


def test_a_file_edited_between_listing_and_reading_is_not_remembered(
    make_tree, tmp_path: Path, later: Later, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    root = make_tree({"a": "1"})
    later()
    real = content.hash_files

    def edit(paths, sizes):
        time.sleep(0.02)
        (root / "a").write_text("2")
        return real(paths, sizes)

    monkeypatch.setattr(walk, "hash_files", edit)
    first = snap(root, tmp_path / "cache")
    monkeypatch.setattr(walk, "hash_files", real)
    assert snap(root, tmp_path / "cache") == first == take_snapshot(root).digest
    assert read == ["a", "a", "a"]


def test_a_folder_swapped_between_listing_and_reading_teaches_nothing_false(
    make_tree, tmp_path: Path, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree({"one/f": "1", "two/f": "2"})
    later()
    real = content.hash_files

    def swap(paths, sizes):
        (root / "one").rename(root / "three")
        (root / "two").rename(root / "one")
        return real(paths, sizes)

    monkeypatch.setattr(walk, "hash_files", swap)
    snap(root, tmp_path / "cache")
    monkeypatch.setattr(walk, "hash_files", real)
    assert snap(root, tmp_path / "cache") == take_snapshot(root).digest


def test_hard_links_share_their_entry(make_tree, tmp_path: Path, later: Later, read: list[str]) -> None:
    root = make_tree({"a": "1"})
    os.link(root / "a", root / "b")
    later()
    first = snap(root, tmp_path / "cache")
    read.clear()
    assert snap(root, tmp_path / "cache") == first
    assert read == []


def test_an_exec_bit_is_never_cached(make_tree, tmp_path: Path, later: Later) -> None:
    root = make_tree({"a": "1"})
    later()
    first = snap(root, tmp_path / "cache")
    (root / "a").chmod(0o755)
    assert snap(root, tmp_path / "cache") != first


def test_other_rules_use_what_is_known(make_tree, tmp_path: Path, later: Later, read: list[str]) -> None:
    root = make_tree({"a": "1", "b": "2", "c": "3"})
    later()
    snap(root, tmp_path / "cache")
    read.clear()
    assert snap(root, tmp_path / "cache", "b") == take_snapshot(make_tree({"a": "1", "c": "3"}, "other")).digest
    assert [name for name in read if name == "b"] == []


def test_each_root_has_its_own_file_and_a_link_to_it_shares_it(
    make_tree, tmp_path: Path, later: Later, read: list[str]
) -> None:
    one, other = make_tree({"a": "1"}, "one"), make_tree({"b": "2"}, "other")
    later()
    snap(one, tmp_path / "cache")
    snap(other, tmp_path / "cache")
    (tmp_path / "link").symlink_to(one)
    read.clear()
    snap(tmp_path / "link", tmp_path / "cache")
    assert read == []
    assert len(list((tmp_path / "cache").iterdir())) == 2


def _only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data.replace(b"cache 1", b"cache 9"),
        lambda data: b"\xff" * len(data),
        lambda data: data[:20],
        lambda data: b"imagebuilder stat cache 1\n",
    ],
)
def test_a_corrupt_or_foreign_file_is_ignored_and_replaced(
    make_tree, tmp_path: Path, later: Later, read: list[str], spoil: Callable[[bytes], bytes]
) -> None:
    root = make_tree({"a": "1", "b": "2"})
    later()
    first = snap(root, tmp_path / "cache")
    file = _only_file(tmp_path / "cache")
    good = file.read_bytes()
    file.write_bytes(spoil(good))
    assert snap(root, tmp_path / "cache") == first
    assert len(read) == 4
    assert _only_file(tmp_path / "cache").read_bytes() == good


def test_a_fifo_or_folder_in_the_files_place_is_ignored(make_tree, tmp_path: Path, later: Later) -> None:
    root = make_tree({"a": "1"})
    later()
    first = snap(root, tmp_path / "cache")
    file = _only_file(tmp_path / "cache")
    file.unlink()
    os.mkfifo(file)
    assert snap(root, tmp_path / "cache") == first
    _only_file(tmp_path / "cache").unlink()
    file.mkdir()
    assert snap(root, tmp_path / "cache") == first


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_file_is_not_believed(make_tree, tmp_path: Path, later: Later, read: list[str]) -> None:
    root = make_tree({"a": "1"})
    later()
    snap(root, tmp_path / "cache")
    os.chown(_only_file(tmp_path / "cache"), 65534, 65534)
    snap(root, tmp_path / "cache")
    assert read == ["a", "a"]


def test_a_folder_that_cannot_be_written_is_fine(make_tree, tmp_path: Path, later: Later) -> None:
    root = make_tree({"a": "1"})
    later()
    (tmp_path / "file").touch()
    assert snap(root, tmp_path / "file" / "cache") == snap(root, None) == snap(root, Path("/proc/nowhere"))


def test_a_full_disk_leaves_no_partial_file(
    make_tree, tmp_path: Path, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree({"a": "1"})
    later()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stat_cache.os, "replace", fail)
    snap(root, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_entries_of_files_that_are_gone_are_dropped(make_tree, tmp_path: Path, later: Later) -> None:
    root = make_tree({f"f{number}": str(number) for number in range(100)})
    later()
    snap(root, tmp_path / "cache")
    size = _only_file(tmp_path / "cache").stat().st_size
    for number in range(90):
        (root / f"f{number}").unlink()
    snap(root, tmp_path / "cache")
    assert _only_file(tmp_path / "cache").stat().st_size < size / 5


def test_files_of_roots_long_unused_are_removed(make_tree, tmp_path: Path, later: Later) -> None:
    one, other = make_tree({"a": "1"}, "one"), make_tree({"b": "2"}, "other")
    later()
    snap(one, tmp_path / "cache")
    old = _only_file(tmp_path / "cache")
    os.utime(old, (1, 1))
    snap(other, tmp_path / "cache")
    assert _only_file(tmp_path / "cache") != old


def test_at_most_so_many_roots_are_kept(
    make_tree, tmp_path: Path, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stat_cache, "_MAX_ROOTS", 3)
    roots = [make_tree({"a": "1"}, f"root{number}") for number in range(6)]
    later()
    for root in roots:
        snap(root, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_a_file_in_use_stays_young(make_tree, tmp_path: Path, later: Later) -> None:
    root = make_tree({"a": "1"})
    later()
    snap(root, tmp_path / "cache")
    file = _only_file(tmp_path / "cache")
    week_ago = time.time() - 7 * 86_400
    os.utime(file, (week_ago, week_ago))
    snap(root, tmp_path / "cache")
    assert file.stat().st_mtime > week_ago + 86_400


def test_processes_side_by_side(make_tree, tmp_path: Path) -> None:
    root = make_tree({f"f{number}": str(number) for number in range(200)})
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom imagebuilder.sources import Sources, walk\n"
        "now = time.time_ns; walk.time.time_ns = lambda: now() + 10 * 10**9\n"
        "for turn in range(20):\n"
        "    Path(sys.argv[1], f'f{turn}').write_text(str(now()))\n"
        "    with Sources(Path(sys.argv[2])) as sources: sources.snapshot(sys.argv[1])\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(root), str(tmp_path / "cache")]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(run.communicate()[1], run.returncode) for run in runs] == [(b"", 0)] * 3
    assert snap(root, tmp_path / "cache") == take_snapshot(root).digest
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_one_file_is_cached_too(make_tree, tmp_path: Path, later: Later, read: list[str]) -> None:
    path = make_tree({"a": "1"}) / "a"
    later()
    for _ in range(2):
        with Sources(tmp_path / "cache") as sources:
            assert sources.file(path) == snapshot_file(path)
    assert read == ["a", "a", "a"]  # once by each plain call, once by the first command
