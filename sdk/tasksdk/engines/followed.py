"""One attempt on this machine, as its engine knows it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import AttemptEvent, AttemptSpec, Exit, Phase
from tasksdk.engines.lines import Lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Followed:
    """Its output, its phases so far, and whether somebody asked for its end."""

    def __init__(self, spec: AttemptSpec) -> None:
        self.spec = spec
        self.lines = Lines(spec.mask)
        self.why: Exit | None = None
        self.stop = asyncio.Event()
        self.begun = asyncio.Event()
        self.work: asyncio.Task[None] | None = None
        self._events = [AttemptEvent(Phase.QUEUED, time.time())]
        self._changed = asyncio.Event()

    def running(self) -> None:
        """It has begun."""
        self.begun.set()
        self._tell(AttemptEvent(Phase.RUNNING, time.time()))

    def ended(self, how: Exit) -> None:
        """It has ended, and nothing of it is left."""
        self.lines.close()
        self._tell(AttemptEvent(how.phase, time.time(), how))

    def end(self, why: Exit) -> None:
        """Ask for an end; the first to ask says why."""
        if self.why is None:
            self.why = why
        self.stop.set()

    async def events(self) -> AsyncIterator[AttemptEvent]:
        """The phases so far, then each change."""
        shown = 0
        while True:
            changed = self._changed
            for event in self._events[shown:]:
                shown += 1
                yield event
                if event.phase.terminal:
                    return
            await changed.wait()

    def _tell(self, event: AttemptEvent) -> None:
        self._events.append(event)
        # Whoever waits has this event; whoever comes to wait gets the next.
        self._changed.set()
        self._changed = asyncio.Event()
