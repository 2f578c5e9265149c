"""How long it takes to know a folder: each figure beside the least that any tool must do for it.

Every measured run is a fresh interpreter that times the work itself, without start-up and imports, as for the floor.
Runs of ours and of the floor take turns, so that other load on the machine meets both; the medians are compared.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from row import Row

FILES, FOLDERS, RUNS = 20_000, 1_000, 5
SETTLE_SECONDS = 2.5  # the stat cache does not trust younger files

_FLOOR_READ = """
import hashlib, os
def work(tree, cache):
    for folder, _, names in os.walk(tree):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                hashlib.sha256(file.read()).hexdigest()
"""
_FLOOR_STAT = """
import os
def work(tree, cache):
    for folder, _, names in os.walk(tree):
        for name in names:
            os.stat(os.path.join(folder, name))
"""
_FLOOR_COPY = """
import hashlib, os, shutil
def work(tree, cache):
    shutil.copytree(tree, os.path.join(cache, "copy"), symlinks=True, copy_function=shutil.copyfile)
"""
_IDENTIFY = """
from pathlib import Path
from imagebuilder.sources import Sources
def work(tree, cache):
    with Sources(Path(cache)) as sources:
        for _ in range({images}):
            sources.snapshot(tree).digest
"""
_STAGE = """
import os
from imagebuilder.sources import stage, take_snapshot
def prepare(tree):
    global snapshot
    snapshot = take_snapshot(tree)
def work(tree, cache):
    stage(snapshot, os.path.join(cache, "copy"))
"""
_TIMER = """
import json, sys, time
tree, cache = sys.argv[1:]
if "prepare" in globals():
    prepare(tree)
started = time.perf_counter()
work(tree, cache)
print(json.dumps(time.perf_counter() - started))
"""


def make_tree(root: Path) -> None:
    """Files of 100 to 6,000 bytes in folders of mixed depth, as a Python monorepo has them."""
    chance = random.Random(1)
    folders = [root]
    for number in range(FOLDERS):
        parent = chance.choice(folders[-200:]) if chance.random() < 0.7 else root
        depth = len(parent.relative_to(root).parts)
        folder = (parent if depth < 8 else root) / f"package_{number}"
        folder.mkdir()
        folders.append(folder)
    for number in range(FILES):
        path = chance.choice(folders) / f"module_{number}.py"
        path.write_bytes(chance.randbytes(chance.randint(100, 6_000)))


def run(code: str, tree: Path, cache: Path) -> float:
    """Seconds one piece of work took in a fresh interpreter."""
    command = [sys.executable, "-c", code + _TIMER, str(tree), str(cache)]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def compare(place: Path, name: str, *, ours: str, floor: str, target: float, keep_cache: bool) -> Row:
    """Measure both in turn; without `keep_cache` each run finds none."""
    tree, cache = place / "tree", place / "cache"
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS + 1):  # the first of each warms the page cache
        for code, taken in zip((floor, ours), times, strict=True):
            if not keep_cache:
                shutil.rmtree(cache, ignore_errors=True)
                cache.mkdir()
            taken.append(run(code, tree, cache))
    floor_time, our_time = (statistics.median(taken[1:]) for taken in times)
    ratio = our_time / floor_time
    shown = f"{floor_time * 1e3:.0f} ms, ratio {ratio:.2f}"
    return Row(name, f"{our_time * 1e3:.0f} ms", shown, f"ratio <= {target}", ratio <= target)


def rows() -> list[Row]:
    """Make the tree, measure everything, remove it."""
    with tempfile.TemporaryDirectory(prefix="imagebuilder-bench-") as folder:
        place = Path(folder)
        place.joinpath("tree").mkdir()
        place.joinpath("cache").mkdir()
        make_tree(place / "tree")
        time.sleep(SETTLE_SECONDS)
        one, ten = _IDENTIFY.format(images=1), _IDENTIFY.format(images=10)
        files = f"{FILES:,} files"
        return [
            compare(
                place, f"{files}, first time / read and hash", ours=one, floor=_FLOOR_READ, target=1.5, keep_cache=False
            ),
            compare(place, f"{files}, unchanged / stat", ours=one, floor=_FLOOR_STAT, target=1.5, keep_cache=True),
            compare(place, f"{files}, ten images / one", ours=ten, floor=one, target=1.2, keep_cache=True),
            compare(
                place,
                f"{files}, verified copy / copytree",
                ours=_STAGE,
                floor=_FLOOR_COPY,
                target=1.5,
                keep_cache=False,
            ),
        ]
