"""Runs the parts of the benchmark and prints one table."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

PARTS = ("start", "sources", "registry", "build", "direct", "copies", "literals")


def main() -> int:
    """Measure; 1 if a target was missed."""
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := [part for part in chosen if part not in PARTS]:
        print(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    sys.path.insert(0, str(Path(__file__).parent))
    table = Table("what", "ours", "floor or peer", "target", "", title=f"load {os.getloadavg()[0]:.1f} at the start")
    missed = 0
    try:
        for part in chosen:
            for row in importlib.import_module(part).rows():
                missed += not row.met
                table.add_row(row.name, row.ours, row.other, row.target, "met" if row.met else "MISSED")
    finally:
        Console(width=150).print(table)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
