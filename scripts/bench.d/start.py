"""How long it takes until a spec can be written, and until the command line says something."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from row import Row, medians, seconds

ROUNDS = 15


def rows() -> list[Row]:
    """Imports above bare Python, and the help of the command line; flyte beside each."""

    def python(code: str) -> float:
        return seconds([sys.executable, "-c", code])

    bare, ours, theirs = medians(
        ROUNDS,
        lambda: python("pass"),
        lambda: python("from imagebuilder import Image"),
        lambda: python("from flyte import Image") if importlib.util.find_spec("flyte") else 0.0,
    )
    bin_dir = Path(sys.executable).parent
    flyte = shutil.which("flyte", path=str(bin_dir))
    our_help, their_help = medians(
        ROUNDS,
        lambda: seconds([str(bin_dir / "imagebuild"), "--help"]),
        lambda: seconds([flyte, "--help"]) if flyte else 0.0,
    )
    return [
        Row(
            "from imagebuilder import Image, above bare Python",
            _ms(ours - bare),
            f"flyte {_ms(theirs - bare)}" if theirs else "flyte is not installed",
            "<= 25 ms",
            ours - bare <= 0.025,
        ),
        Row(
            "imagebuild --help",
            _ms(our_help),
            f"flyte {_ms(their_help)}" if their_help else "flyte is not installed",
            "<= 120 ms",
            our_help <= 0.120,
        ),
    ]


def _ms(value: float) -> str:
    return f"{value * 1e3:.0f} ms"
