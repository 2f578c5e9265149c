"""An engine that runs nothing and answers what it was told to: the double of the port."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from imagebuilder.spec.value import Value
from tasksdk.engines.attempt import AttemptEvent, AttemptSpec, Exit, ExitReason, LogLine, Phase
from tasksdk.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Outcome(Value):
    """What an attempt does: its lines, then its end; without an end it runs until it is aborted or times out."""

    end: Exit | None = Exit(ExitReason.COMPLETED, 0)
    lines: tuple[str, ...] = ()


class _Attempt:
    def __init__(self, spec: AttemptSpec, outcome: Outcome) -> None:
        self.spec = spec
        self.lines = tuple(LogLine(line) for line in outcome.lines)
        self.events = [AttemptEvent(Phase.QUEUED, time.time()), AttemptEvent(Phase.RUNNING, time.time())]
        self.ended = asyncio.Event()
        self.timer: asyncio.TimerHandle | None = None
        if outcome.end is not None:
            self.end(outcome.end)
        elif spec.max_runtime is not None:
            late = Exit(ExitReason.TIMED_OUT, message=f"it ran longer than {spec.max_runtime:g} s")
            self.timer = asyncio.get_running_loop().call_later(spec.max_runtime, self.end, late)

    def end(self, how: Exit) -> None:
        if self.ended.is_set():
            return
        if self.timer is not None:
            self.timer.cancel()
        self.events.append(AttemptEvent(how.phase, time.time(), how))
        self.ended.set()


class FixedEngine:
    """Answers each attempt with the outcome that `answer` gives; `submitted` keeps what was asked for."""

    def __init__(
        self, answer: Callable[[AttemptSpec], Outcome] = lambda _spec: Outcome(), *, runs_images: bool = False
    ) -> None:
        self.name = "fixed"
        self.runs_images = runs_images
        self.helper_image = None
        self.keeps_workers = False
        self.at_once = 100
        self.submitted: list[AttemptSpec] = []
        self._answer = answer
        self._attempts: dict[str, _Attempt] = {}

    async def submit(self, spec: AttemptSpec) -> bool:
        """Take the attempt; the same name is taken once."""
        known = spec.name in self._attempts
        if not known:
            self.submitted.append(spec)
            self._attempts[spec.name] = _Attempt(spec, self._answer(spec))
        return known

    async def watch(self, name: str) -> AsyncIterator[AttemptEvent]:
        """Queued, running, and the end once it is there."""
        attempt = self._attempt(name)
        shown = 0
        while True:
            for event in attempt.events[shown:]:
                shown += 1
                yield event
                if event.phase.terminal:
                    return
            await attempt.ended.wait()

    async def logs(self, name: str) -> AsyncIterator[LogLine]:
        """The lines of the outcome."""
        attempt = self._attempt(name)
        for line in attempt.lines:
            yield line
        await attempt.ended.wait()

    def waiting(self, name: str, *, waits: bool) -> None:
        """Nothing: there are no workers."""

    async def abort(self, name: str, reason: str = "") -> None:
        """End the attempt as aborted."""
        self._attempt(name).end(Exit(ExitReason.ABORTED, message=reason))

    async def close(self) -> None:
        """Abort what still runs."""
        for attempt in self._attempts.values():
            attempt.end(Exit(ExitReason.ABORTED, message="the engine was closed"))

    def _attempt(self, name: str) -> _Attempt:
        try:
            return self._attempts[name]
        except KeyError:
            raise EngineError(f"engine {self.name}: there is no attempt {name!r}") from None
