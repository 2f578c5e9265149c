"""The most memory that a whole `imagebuild build` ever holds, of an image with one wheel of 500 MB."""

from __future__ import annotations

import tempfile
from pathlib import Path

from layers import LARGE, large_wheel
from place import Place
from row import Row


def rows() -> list[Row]:
    """The peak of the process, its children included, each for itself."""
    with tempfile.TemporaryDirectory(prefix="imagebuilder-bench-") as folder:
        place = Place(Path(folder) / "place", bytecode=True)
        large_wheel(place.folder)
        place.spec("large", '.with_wheels("large-1.0-py3-none-any.whl")')
        taken = place.ours("cache")
    peak = f"{taken.memory:.0f} MB"
    return [
        Row(f"memory for a wheel of {LARGE >> 20} MB", peak, f"{taken.seconds:.2f} s", "<= 150 MB", taken.memory <= 150)
    ]
