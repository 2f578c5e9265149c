"""An empty machine whose registry knows the wheels, as a CI job has it, beside the peer on an empty machine.

Another machine, with a cache folder of its own, has filled the shared cache before. Then each round has a new cache
folder and a new repository; the requirements are locked. The peer has `--no-cache`, which empties uv's cache mount too;
it still has the layers of the base, which helps it. Bytecode in neither.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from pathlib import Path

from cold import STACK
from place import REGISTRY, Place, beside, lock
from row import Row

ROUNDS, PEER_ROUNDS = 5, 2
_LARGE = ("torch",)
_MOST = 1500.0  # seconds that the peer may take for the large one


def rows() -> list[Row]:
    """The usual stack."""
    with tempfile.TemporaryDirectory(prefix="imagebuilder-bench-") as folder:
        place = Place(Path(folder) / "place", bytecode=False)
        call, _ = lock(place, STACK)
        ours, _ = _ours(place, call)
        rendered = place.render()
        theirs = [place.theirs(rendered, f"peer-{number}", options=("--no-cache",)) for number in range(PEER_ROUNDS)]
    return [
        beside(
            "the same on an empty machine, locked, the registry knows the wheels", ours, statistics.median(theirs), 25
        )
    ]


def large() -> list[Row]:
    """PyTorch with CUDA, some 3 GB."""
    with tempfile.TemporaryDirectory(prefix="imagebuilder-bench-") as folder:
        place = Place(Path(folder) / "place", bytecode=False)
        call, _ = lock(place, _LARGE)
        ours, first = _ours(place, call)
        name = "torch with CUDA, empty machine, locked, the registry knows the wheels"
        cold = "torch with CUDA, cold, locked, fills the registry's map"
        try:
            theirs = place.theirs(place.render(), "peer", options=("--no-cache",), most=_MOST)
        except subprocess.TimeoutExpired:
            words = f"docker was ended after {_MOST:.0f} s, > {_MOST / ours:.0f} x"
            row = Row(name, f"{ours:.2f} s", words, ">= 100 x", 100 * ours <= _MOST)
            return [row, Row(cold, f"{first:.2f} s", "", "", met=True)]
    ratio = f"docker {theirs:.2f} s, {theirs / first:.1f} x"
    return [beside(name, ours, theirs, 100), Row(cold, f"{first:.2f} s", ratio, "", met=True)]


def _ours(place: Place, call: str) -> tuple[float, float]:
    """Median seconds of machines that have nothing, and seconds of the one that fills the cache."""
    shared = f"{REGISTRY}/bench-{place.run}/cache"
    place.spec("fills", call)
    first = place.ours("cache-fills", IMAGEBUILDER_CACHE=shared, IMAGEBUILDER_CACHE_WRITE="1").seconds
    taken = []
    for number in range(ROUNDS):
        place.spec(f"empty-{number}", call)
        taken.append(place.ours(f"cache-{number}", IMAGEBUILDER_CACHE=shared).seconds)
    return statistics.median(taken), first
