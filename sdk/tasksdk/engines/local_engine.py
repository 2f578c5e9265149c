"""What the engines of this machine have in common: attempts that live and die with the client."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import AttemptSpec, Exit, ExitReason
from tasksdk.engines.followed import Followed
from tasksdk.engines.workers import Workers
from tasksdk.errors import EngineError, TaskSdkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tasksdk.engines.attempt import AttemptEvent, LogLine
    from tasksdk.engines.undertaker import Undertaker
    from tasksdk.engines.worker import Worker


class LocalEngine:
    """Keeps the attempts of this client; a subclass says what one is."""

    name: str
    runs_images: bool
    keeps_workers = True
    # Each is a process of this machine.
    at_once = 8 * (os.cpu_count() or 1)

    def __init__(self, undertaker: Undertaker) -> None:
        self._attempts: dict[str, Followed] = {}
        self._undertaker = undertaker
        self._workers = Workers(self._worker)

    async def submit(self, spec: AttemptSpec) -> bool:
        """Start an attempt, or join the one of that name that runs."""
        known = self._attempts.get(spec.name)
        joined = known is not None and known.work is not None and not known.work.done()
        if not joined:
            if spec.reuse is None or not self._workers.are_idle(spec):
                await self._check(spec)
            if known is not None:
                known.lines.discard()
            attempt = self._attempts[spec.name] = Followed(spec)
            attempt.work = asyncio.ensure_future(self._run(attempt))
        return joined

    async def watch(self, name: str) -> AsyncIterator[AttemptEvent]:
        """The phases so far, then each change."""
        async for event in self._attempt(name).events():
            yield event

    async def logs(self, name: str) -> AsyncIterator[LogLine]:
        """What it wrote and writes."""
        async for line in self._attempt(name).lines.read():
            yield line

    def waiting(self, name: str, *, waits: bool) -> None:
        """Lend the place of its worker to another, or take it back."""
        spec = self._attempt(name).spec
        if spec.reuse is not None:
            self._workers.lend(spec, 1 if waits else -1)

    async def abort(self, name: str, reason: str = "") -> None:
        """End the attempt and all it started."""
        attempt = self._attempt(name)
        attempt.end(Exit(ExitReason.ABORTED, message=reason or "aborted"))
        if attempt.work is not None:
            await asyncio.wait({attempt.work})

    async def close(self) -> None:
        """End everything that runs."""
        for attempt in self._attempts.values():
            attempt.end(Exit(ExitReason.ABORTED, message="the engine was closed"))
        working = [attempt.work for attempt in self._attempts.values() if attempt.work is not None]
        if working:
            await asyncio.wait(working)
        await self._workers.close()
        for attempt in self._attempts.values():
            attempt.lines.discard()
        self._undertaker.close()

    async def _check(self, spec: AttemptSpec) -> None:
        """Raise an `EngineError` where the engine cannot be used."""

    async def _worker(self, spec: AttemptSpec) -> Worker:
        """Start a live worker."""
        raise NotImplementedError

    async def _to_its_end(self, attempt: Followed) -> Exit:
        raise NotImplementedError

    async def _run(self, attempt: Followed) -> None:
        try:
            reused = attempt.spec.reuse is not None
            ended = await (self._workers.run(attempt) if reused else self._to_its_end(attempt))
        except (OSError, TaskSdkError, ValueError) as error:
            ended = Exit(ExitReason.NOT_STARTED, message=f"{attempt.spec.task} could not be started: {error}")
        attempt.ended(ended)

    def _attempt(self, name: str) -> Followed:
        try:
            return self._attempts[name]
        except KeyError:
            raise EngineError(f"engine {self.name}: there is no attempt {name!r}") from None
