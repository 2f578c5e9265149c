"""Runs the parts of the benchmark and prints one table."""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import signal
import sys
import textwrap
from pathlib import Path

from rich.console import Console
from rich.table import Table

PARTS = (
    "start", "sources", "registry", "build", "layers", "memory",
    "cold", "known", "many", "direct", "copies", "tasks", "literals",
)  # fmt: skip
_NEEDS = {
    "start": "nothing",
    "sources": "nothing",
    "layers": "a package index",
    "memory": "a registry",
    "registry": "a registry",
    "copies": "two registries, skopeo",
    "literals": "nothing",
}
_HERE = Path(__file__).parent


def main() -> int:
    """Measure; 1 if a target was missed."""
    options = _options()
    # What is installed has its bytecode: ours too, whatever the machine's settings for development are.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.path.insert(0, str(_HERE))
    chosen = options.part or list(PARTS)
    title = f"load {os.getloadavg()[0]:.1f} at the start, {os.cpu_count()} processors"
    table = Table("what", "ours", "floor or peer", "target", "", title=title)
    missed = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for part in chosen:
            module = importlib.import_module(part)
            for row in [*module.rows(), *(module.large() if options.large and hasattr(module, "large") else [])]:
                missed += not row.met
                table.add_row(row.name, row.ours, row.other, row.target, "met" if row.met else "MISSED")
    except KeyboardInterrupt:
        return 130
    finally:
        importlib.import_module("images").remove()
        Console(width=170).print(table)
    return int(missed > 0)


def _options() -> argparse.Namespace:
    parts = "".join(f"\n{part}: {_described(part)}" for part in PARTS)
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures what this project promises, beside a floor or a peer, and prints a table.",
        epilog=f"The parts, all of them unless some are named:\n{parts}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", help="run only these")
    parser.add_argument("--large", action="store_true", help="with known: PyTorch with CUDA too, which takes an hour")
    options = parser.parse_args()
    if unknown := [part for part in options.part if part not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return options


def _described(part: str) -> str:
    """What a part's docstring says, and what it needs."""
    text = ast.get_docstring(ast.parse((_HERE / f"{part}.py").read_text())) or ""
    needs = _NEEDS.get(part, "a Docker engine, a registry, a package index")
    return textwrap.indent(f"{text}\nNeeds {needs}.\n", "    ").lstrip()


if __name__ == "__main__":
    sys.exit(main())
