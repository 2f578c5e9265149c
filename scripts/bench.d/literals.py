"""How long values take to become literals and values again."""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys

from row import Row

ROUNDS = 5
_OURS = """
from tasksdk.types import TypeEngine
def there_and_back(value, hint):
    return TypeEngine.to_python_value(TypeEngine.to_literal(value, hint, TypeEngine.to_literal_type(hint)), hint)
"""
_THEIRS = """
import asyncio
from flyte.types import TypeEngine
async def trip(value, hint):
    literal = await TypeEngine.to_literal(value, hint, TypeEngine.to_literal_type(hint))
    return await TypeEngine.to_python_value(literal, hint)
def there_and_back(value, hint):
    return asyncio.run(trip(value, hint))
"""
_MEASURE = """
import time
value = list(range(100_000))
assert there_and_back(value, list[int]) == value
started = time.perf_counter()
there_and_back(value, list[int])
print(time.perf_counter() - started)
"""


def rows() -> list[Row]:
    """A list of 100,000 integers, in processes that take turns."""
    ours, theirs = [], []
    peer = importlib.util.find_spec("flyte") is not None
    for _ in range(ROUNDS):
        ours.append(_seconds(_OURS))
        if peer:
            theirs.append(_seconds(_THEIRS))
    mine = statistics.median(ours)
    return [
        Row(
            "list of 100,000 ints to literal and back",
            f"{mine * 1e3:.1f} ms",
            f"flyte {statistics.median(theirs) * 1e3:.0f} ms" if theirs else "flyte is not installed",
            "<= 20 ms",
            mine <= 0.020,
        )
    ]


def _seconds(way: str) -> float:
    ran = subprocess.run([sys.executable, "-c", way + _MEASURE], capture_output=True, text=True, check=True)
    return float(ran.stdout)
