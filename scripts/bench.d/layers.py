"""How fast wheels become layers, and in how much memory.

The floor does the least that any tool must do with the same bytes: it inflates each file once, and hashes what came
and what it became, two wheels at a time. Every run is a fresh interpreter that times the work itself; rounds of ours
and of the floor take turns, so that a busy machine hits both, and the median counts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from row import Row

REQUIREMENTS = ("numpy", "pandas", "scikit-learn")
ROUNDS = 5
LARGE = 500 << 20
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "imagebuilder-bench" / "wheels-3.11"
_MEASURE = """
import json, resource, sys, time
from pathlib import Path
paths = sorted(Path(sys.argv[1]).glob("*.whl"), key=lambda path: -path.stat().st_size)
started = time.perf_counter()
size = work(paths, sys.argv[2])
taken = time.perf_counter() - started
print(json.dumps([taken, size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
_OURS = """
from imagebuilder.layers import InstallTarget, WheelFile, assemble
def work(paths, store):
    return sum(layer.descriptor.size for layer in assemble([WheelFile(path) for path in paths], InstallTarget(), store))
"""
_FLOOR = """
import hashlib, struct, zipfile, zlib
from concurrent.futures import ThreadPoolExecutor
def one(path):
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        packed, unpacked = hashlib.sha256(), hashlib.sha256()
        for info in archive.infolist():
            file.seek(info.header_offset + 26)
            file.seek(sum(struct.unpack("<2H", file.read(4))), 1)
            inflater = zlib.decompressobj(-15) if info.compress_type else None
            left = info.compress_size
            while left:
                data = file.read(min(left, 1 << 18))
                left -= len(data)
                packed.update(data)
                unpacked.update(inflater.decompress(data) if inflater else data)
    return path.stat().st_size
def work(paths, store):
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(one, paths))
"""
_BYTECODE = """
import sys
from imagebuilder.layers import Compiler, InstallTarget, Plan, WheelFile, assemble_bytecode
def work(paths, store):
    target = InstallTarget(python=sys.version_info[:2])
    plan = Plan.of([WheelFile(path) for path in paths], target)
    layers = assemble_bytecode(plan, target, store, Compiler(sys.executable, store))
    return sum(layer.descriptor.size for layer in layers)
"""


def measure(code: str, wheels: Path, *, keep: Path | None = None) -> tuple[float, int, float]:
    """Seconds, bytes made and peak memory in MB of one run into an empty store."""
    with tempfile.TemporaryDirectory(prefix="bench-layers-") as store:
        command = [sys.executable, "-c", code + _MEASURE, str(wheels), str(keep or store)]
        taken, size, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return float(taken), int(size), float(memory)


def wheels() -> Path:
    """The wheels, downloaded once."""
    if not (_CACHE / "complete").exists():
        shutil.rmtree(_CACHE, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        command += ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--only-binary", ":all:"]
        subprocess.run([*command, "-d", str(_CACHE), *REQUIREMENTS], check=True)
        (_CACHE / "complete").touch()
    return _CACHE


def large_wheel(folder: Path) -> None:
    """A wheel of 500 MB, in two files that unpack to more than twice that."""
    chance = random.Random(1)
    text = b"".join(b"%d def function_%d(x): return x\n" % (i, i * 7919 % 100_003) for i in range(60_000))
    unit = chance.randbytes(900_000) + text
    info = "large-1.0.dist-info"
    rows = []

    def row(name: str, digest: bytes, size: int) -> None:
        rows.append(f"{name},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{size}\n")

    with zipfile.ZipFile(folder / "large-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in (1, 2):
            hasher, size = hashlib.sha256(), 0
            with archive.open(f"large/lib{number}.so", "w", force_zip64=True) as member:
                while (folder / "large-1.0-py3-none-any.whl").stat().st_size < LARGE * number // 2:
                    data = chance.randbytes(1000) + unit
                    member.write(data)
                    hasher.update(data)
                    size += len(data)
            row(f"large/lib{number}.so", hasher.digest(), size)
        metadata = {"METADATA": b"Name: large\nVersion: 1.0\n", "WHEEL": b"Wheel-Version: 1.0\n"}
        for name, data in metadata.items():
            archive.writestr(f"{info}/{name}", data)
            row(f"{info}/{name}", hashlib.sha256(data).digest(), len(data))
        archive.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))


def rows() -> list[Row]:
    """The report's lines."""
    found = wheels()
    turns = [(measure(_OURS, found), measure(_FLOOR, found)) for _ in range(ROUNDS + 1)][1:]
    ours, floor = (statistics.median(turn[side][0] for turn in turns) for side in (0, 1))
    megabytes, memory = turns[0][1][1] / 1e6, max(turn[0][2] for turn in turns)
    compiled = measure(_BYTECODE, found)
    with tempfile.TemporaryDirectory(prefix="bench-large-") as folder:
        large_wheel(Path(folder))
        taken, size, peak = measure(_OURS, Path(folder))
        least = measure(_FLOOR, Path(folder))[0]
    stack = "numpy + pandas + scikit-learn"
    return [
        Row(
            f"layers of {stack}, {megabytes:.0f} MB of wheels",
            f"{ours:.2f} s, {megabytes / ours:.0f} MB/s, {memory:.0f} MB",
            f"floor {floor:.2f} s",
            "<= 2 x floor",
            ours <= 2 * floor,
        ),
        Row(
            f"bytecode of {stack}, nothing kept",
            f"{compiled[0]:.2f} s, {compiled[1] / 1e6:.0f} MB",
            "-",
            "-",
            met=True,
        ),
        Row(
            f"memory for a wheel of {size / 2**20:.0f} MB",
            f"{peak:.0f} MB, {taken:.2f} s",
            f"floor {least:.2f} s",
            "<= 150 MB",
            peak <= 150,
        ),
    ]


if __name__ == "__main__":
    for line in rows():
        print(*line, sep=" | ")
