"""Some 155 packages, locked, from nothing: jupyter, black, ruff, the AWS command line, ansible and their like.

Cold as in `cold`; bytecode in neither, then in both. One round of each, since the peer takes minutes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from place import Place, beside, lock

if TYPE_CHECKING:
    from row import Row

_PACKAGES = Path(__file__).parents[2] / "fixtures" / "bench" / "many-packages.txt"


def rows() -> list[Row]:
    """Without bytecode and with it."""
    made = []
    with tempfile.TemporaryDirectory(prefix="imagebuilder-bench-") as folder:
        for bytecode in (False, True):
            place = Place(Path(folder) / str(bytecode), bytecode=bytecode)
            call, count = lock(place, _PACKAGES.read_text().split())
            place.spec("many", call)
            rendered = place.render()
            if not bytecode:
                place.theirs(rendered, "warm", cold=True)  # fills uv's cache mount
            ours = place.ours("cache").seconds
            theirs = place.theirs(rendered, "peer", cold=True)
            words = "bytecode in both" if bytecode else "bytecode in neither"
            made.append(beside(f"{count} packages, cold, locked, {words}", ours, theirs, 5))
    return made
