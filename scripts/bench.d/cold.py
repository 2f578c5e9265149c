"""Images of packages and sources from nothing, beside `docker buildx build --push` of what we render.

Cold is: our cache folder is empty and the repository is new; for the peer no step is cached and the repository is new.
It has its base, and the wheels in uv's cache mount, and we fetch both: what helps it more. Once neither side compiles
bytecode, once both do. Then both images of the last way are run, and time what they import.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path

import images
from place import Place, beside, lock, pip
from row import Row

STACK = ("numpy", "pandas", "scikit-learn")
COLD, STARTS = 3, 7
_NEEDS = "import time; t = time.perf_counter(); import pandas, sklearn; print(time.perf_counter() - t)"


def rows() -> list[Row]:
    """Unlocked and locked, without and with bytecode; how long the image with bytecode imports."""
    made: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="imagebuilder-bench-") as folder:
        for bytecode in (False, True):
            place = Place(Path(folder) / str(bytecode), bytecode=bytecode)
            words = "bytecode in both" if bytecode else "bytecode in neither"
            locked, _ = lock(place, STACK)
            for how, call, least in (("unlocked", pip(*STACK), 4), ("locked", locked, 5)):
                ours, theirs, uri = _cold(place, how, call)
                made.append(
                    beside(f"numpy + pandas + scikit-learn + source, cold, {how}, {words}", ours, theirs, least)
                )
        made.append(_imports(uri, place.tag("locked-peer-0")))
    return made


def _cold(place: Place, name: str, call: str) -> tuple[float, float, str]:
    place.spec(name, call)
    rendered = place.render()
    place.theirs(rendered, f"{name}-warm", cold=True)  # fills uv's cache mount, and brings the base
    ours, theirs = [], []
    for number in range(COLD):
        place.spec(f"{name}-{number}", call)
        taken = place.ours(f"cache-{name}-{number}")
        ours.append(taken.seconds)
        shutil.rmtree(place.folder / f"cache-{name}-{number}")
        theirs.append(place.theirs(rendered, f"{name}-peer-{number}", cold=True))
    return statistics.median(ours), statistics.median(theirs), taken.uri


def _imports(ours: str, theirs: str) -> Row:
    """Containers of both, in turns."""
    taken = [[_import(image) for image in (ours, theirs)] for _ in range(STARTS + 1)][1:]
    mine, other = (statistics.median(times) for times in zip(*taken, strict=True))
    ratio = mine / other
    name = "import of pandas and scikit-learn in the image, bytecode in both"
    return Row(name, f"{mine:.2f} s", f"in the image by docker {other:.2f} s, {ratio:.2f}", "<= 1.1", ratio <= 1.1)


def _import(image: str) -> float:
    return float(images.run(image, "python", "-c", _NEEDS))
