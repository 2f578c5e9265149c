"""Time as the client sees it, so that tests need not wait."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the client asks of time."""

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own time."""

    def __init__(self) -> None:
        # Bound once: they are asked several times for each request.
        self.monotonic = time.monotonic
        self.time = time.time
        self.sleep = time.sleep
