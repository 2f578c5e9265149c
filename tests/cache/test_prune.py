"""What is removed, and what stays: pruning under real processes, killed ones too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.cache.contents import look
from imagebuilder.cache.in_use import in_use, touch
from imagebuilder.cache.kinds import BYTECODE, IMAGES, KINDS, LAYERS, SOURCES, WHEELS
from imagebuilder.cache.prune import bounded, prune
from imagebuilder.errors import WorkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imagebuilder.cache.kinds import Kind

DAY = 86_400
HOLD = """
import sys, time
from pathlib import Path
from imagebuilder.cache.in_use import in_use
with in_use(Path(sys.argv[1]), quiet=sys.argv[2] == "quiet"):
    print("held", flush=True)
    sys.stdin.read()
"""
# Writes wheels and notes for as long as it may, and fails where one it got is not whole.
WORK = """
import hashlib, sys
from pathlib import Path
from imagebuilder.cache.in_use import in_use
from imagebuilder.cache.kinds import RESOLUTIONS, WHEELS
from imagebuilder.packages.locked import LockedFile
from imagebuilder.packages.resolution_cache import ResolutionCache
from imagebuilder.packages.wheel_store import WheelStore
folder = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(150):
    with in_use(folder):
        data = b"%d" % (number % 7) * 1000
        file = LockedFile(f"w{number % 7}-1-py3-none-any.whl", hashlib.sha256(data).hexdigest())
        store = WheelStore(WHEELS.at(folder))
        path = store.find(file) or store.add(file, [data[:10], data[10:]], "here")
        assert path.read_bytes() == data, number
        cache = ResolutionCache(RESOLUTIONS.at(folder))
        key = file.sha256
        text = cache.get(key)
        assert text in (None, "x" * 5000), number
        cache.put(key, "x" * 5000)
        assert path.read_bytes() == data, number
"""
HALF = """
import os, signal, sys
from pathlib import Path
from imagebuilder.cache.in_use import in_use
from imagebuilder.cache.kinds import WHEELS
from imagebuilder.packages.locked import LockedFile
from imagebuilder.packages.wheel_store import WheelStore
def pieces():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)
with in_use(Path(sys.argv[1])):
    WheelStore(WHEELS.at(Path(sys.argv[1]))).add(LockedFile("a-1-py3-none-any.whl", "0" * 64), pieces(), "here")
"""


def keep(cache: Path, kind: Kind, name: str, size: int = 100, age: float = DAY) -> Path:
    path = kind.at(cache) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age,) * 2)
    return path


def start(script: str, *args: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with start(HOLD, tmp_path, "touching") as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_longest_unused_goes_first_whatever_its_kind(tmp_path: Path) -> None:
    old, older = keep(tmp_path, IMAGES, "blobs/sha256/a"), keep(tmp_path, LAYERS, "ab/b.json", age=2 * DAY)
    young = keep(tmp_path, WHEELS, "sha256/00/w.whl", age=60)
    assert prune(tmp_path, limit=300).total == 0
    assert prune(tmp_path, limit=250).bytes == {LAYERS: 100}
    assert (old.exists(), older.exists(), young.exists()) == (True, False, True)
    assert prune(tmp_path, limit=10).total == 200
    assert not young.parent.exists()  # a wheel's folder goes with it
    assert old.parent.exists()


def test_what_is_touched_is_used(tmp_path: Path) -> None:
    used, other = keep(tmp_path, IMAGES, "blobs/sha256/a"), keep(tmp_path, IMAGES, "blobs/sha256/b", age=60)
    touch([used, tmp_path / "absent"])
    assert prune(tmp_path, limit=150).total == 100
    assert (used.exists(), other.exists()) == (True, False)


def test_by_age_and_by_kind(tmp_path: Path) -> None:
    old, new = keep(tmp_path, SOURCES, "a.stat", age=31 * DAY), keep(tmp_path, SOURCES, "b.stat", age=29 * DAY)
    wheel = keep(tmp_path, WHEELS, "sha256/00/w.whl", age=31 * DAY)
    assert prune(tmp_path, older_than=30 * DAY, kinds=[SOURCES]).files == {SOURCES: 1}
    assert (old.exists(), new.exists(), wheel.exists()) == (False, True, True)
    assert prune(tmp_path, older_than=0).total == 200
    assert sum(usage.bytes for usage in look(tmp_path)) == 0


def test_older_versions_count_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    before = tmp_path / f"{LAYERS.name}-0" / "x.json"
    foreign = [tmp_path / "photos-1" / "a", tmp_path / "layers" / "a", tmp_path / "layers-one" / "a", tmp_path / "a"]
    for path in (before, *foreign):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"12345")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"1")
    (tmp_path / "wheels-1").symlink_to(outside)
    assert next(usage.bytes for usage in look(tmp_path) if usage.kind is LAYERS) == 5
    assert prune(tmp_path, older_than=0).total == 5
    assert not before.exists()
    assert all(path.exists() for path in (*foreign, outside / "a"))


def test_what_a_running_process_uses_stays(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    unused, used = keep(tmp_path, WHEELS, "sha256/00/w.whl"), keep(tmp_path, WHEELS, "sha256/01/w.whl", age=0)
    freed = prune(tmp_path, older_than=0)
    assert (freed.total, freed.in_use) == (100, 100)
    assert (unused.exists(), used.exists()) == (False, True)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert prune(tmp_path, older_than=0).total == 100
    assert not list((tmp_path / "in-use").glob("user-*"))


def test_nothing_goes_that_buildkit_was_told_of(tmp_path: Path) -> None:
    layer, note = keep(tmp_path, IMAGES, "blobs/sha256/a"), keep(tmp_path, LAYERS, "ab/b.json")
    with in_use(tmp_path, quiet=True), in_use(tmp_path):
        assert prune(tmp_path, limit=0).in_use == 100
    assert (layer.exists(), note.exists()) == (True, False)
    assert prune(tmp_path, limit=0).total == 100


@pytest.mark.parametrize("name", [".part-a", ".layer-x", "parts/part-b", "ab.stat.12.99", ".fetch-x/bin/uv"])
def test_what_was_never_finished_goes(tmp_path: Path, name: str) -> None:
    half, whole = keep(tmp_path, WHEELS, name), keep(tmp_path, WHEELS, "sha256/00/w.whl")
    fresh = keep(tmp_path, WHEELS, f"{name}-now", age=5)
    assert prune(tmp_path, limit=1000).total == 100
    assert (half.exists(), whole.exists(), fresh.exists()) == (False, True, True)
    assert sum(usage.entries for usage in look(tmp_path)) == 1


def test_a_killed_download_leaves_nothing_for_long(tmp_path: Path) -> None:
    with start(HALF, tmp_path) as process:
        assert process.wait() == -signal.SIGKILL
    (part,) = (WHEELS.at(tmp_path) / "parts").iterdir()
    assert part.read_bytes() == b"half"
    prune(tmp_path, limit=10**9, clock=lambda: time.time() + 120)
    assert not part.exists()


def test_processes_that_write_and_prune_at_once(tmp_path: Path) -> None:
    workers = [start(WORK, tmp_path) for _ in range(3)]
    for worker in workers:
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    while any(worker.poll() is None for worker in workers):
        prune(tmp_path, older_than=0)
    for worker in workers:
        worker.communicate()
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    prune(tmp_path, older_than=0)
    assert sum(usage.bytes for usage in look(tmp_path)) == 0


def test_a_cache_is_brought_below_its_bound_now_and_then(tmp_path: Path) -> None:
    first, second = keep(tmp_path, BYTECODE, "a.pack"), keep(tmp_path, BYTECODE, "b.pack", age=60)
    with bounded(tmp_path, 100):
        assert (first.exists(), second.exists()) == (True, True)
    assert (first.exists(), second.exists()) == (False, True)
    with bounded(tmp_path, 1000):  # there is room: not looked at again for a minute
        pass
    third = keep(tmp_path, BYTECODE, "c.pack", size=2000)
    with bounded(tmp_path, 1000):
        pass
    assert third.exists()
    os.utime(tmp_path / "in-use" / ".looked", (0, 0))
    with bounded(tmp_path, 1000):
        pass
    assert (second.exists(), third.exists()) == (True, False)
    with bounded(tmp_path, 150):
        pass
    with bounded(tmp_path, 50):  # nearly full: looked at every time
        pass
    assert not second.exists()


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with (
        pytest.raises(WorkError, match=r"the cache .*file/cache cannot be used: ") as caught,
        in_use(tmp_path / "file" / "cache"),
    ):
        pass
    assert caught.value.hint
    assert "IMAGEBUILDER_CACHE_DIR" in caught.value.hint


def test_a_cache_that_is_not_there(tmp_path: Path) -> None:
    assert prune(tmp_path / "absent", limit=0).total == 0
    assert not (tmp_path / "absent").exists()
    assert {usage.bytes for usage in look(tmp_path / "absent")} == {0}


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 50), st.integers(0, 1000)), max_size=12), st.data())
def test_the_bound_holds_and_no_more_goes_than_must(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[Kind, int, int]], data: st.DataObject
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    paths = [keep(cache, kind, f"f{number}", size, 100 + age) for number, (kind, size, age) in enumerate(files)]
    limit = data.draw(st.integers(0, 300))
    prune(cache, limit=limit)
    left = [number for number, path in enumerate(paths) if path.exists()]
    gone = sorted(set(range(len(files))) - set(left), key=lambda number: (files[number][2], -number))
    rest = sum(files[number][1] for number in left)
    assert rest <= limit
    if gone:
        assert rest + files[gone[0]][1] > limit
        assert all(files[number][2] <= files[gone[0]][2] for number in left)
