"""One line of the report."""

from __future__ import annotations

import statistics
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class Row(NamedTuple):
    """What was measured: ours and what it is compared with, as text, the target, and whether it was met."""

    name: str
    ours: str
    other: str
    target: str
    met: bool


def seconds(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    most: float | None = None,
) -> float:
    """Wall seconds of a whole process, killed after `most`; its output is shown only where it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=most)
    taken = time.perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return taken


def medians(rounds: int, *ways: Callable[[], float]) -> list[float]:
    """The median of each way, rounds taking turns so that a busy machine hits all alike; one round warms up."""
    taken = [[way() for way in ways] for _ in range(rounds + 1)][1:]
    return [statistics.median(times) for times in zip(*taken, strict=True)]
