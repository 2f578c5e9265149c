"""The live workers of one kind: who is taken, who rests, and when one is let go."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from tasksdk.engines.worker import NotStartedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasksdk.engines.worker import Worker
    from tasksdk.values.reuse import ReusePolicy


class Pool:
    """At most as many workers as the policy says.

    The fewest are started with the first attempt and stay as long as any attempt came within `idle_ttl`; each of the
    others goes when it itself was idle for `scaledown_ttl`, which by default is the same.
    """

    def __init__(self, policy: ReusePolicy, start: Callable[[], Awaitable[Worker]]) -> None:
        self._fewest, self._most = policy.bounds
        self._ttl, self._surplus_ttl = policy.idle_seconds, policy.surplus_seconds
        self._start = start
        self._lent = 0
        self._room = asyncio.Event()
        self._idle: list[Worker] = []
        self._timers: dict[Worker, asyncio.TimerHandle] = {}
        self._spares: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._used = 0.0
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return any(worker.alive for worker in self._idle)

    async def take(self) -> Worker:
        """A worker for one attempt, waiting for one where as many as may be are busy.

        Raises:
            NotStartedError: none can be started.
        """
        while self._busy - self._lent >= self._most:
            await self._room.wait()
        self._busy += 1
        try:
            worker = await self._found()
        except BaseException:
            self._leave()
            raise
        self._fill()
        return worker

    def lend(self, places: int) -> None:
        """Let so many more be busy at once: so many that are busy wait for others. Fewer again where it is negative."""
        self._lent += places
        self._wake()

    async def give_back(self, worker: Worker) -> None:
        """Let the next attempt have it; one that cannot be asked again, or is one too many, is ended."""
        try:
            surplus = self._busy - self._lent + len(self._idle) > self._most
            if worker.alive and not self._closed and not surplus:
                self._rest(worker)
            else:
                await worker.end()
        finally:
            self._leave()

    async def close(self) -> None:
        """End all workers; those that are busy end when they are given back."""
        self._closed = True
        for spare in self._spares:
            spare.cancel()
        if self._spares:
            await asyncio.wait(self._spares)
        for worker in list(self._idle):
            self._let_go(worker)
        if self._ending:
            await asyncio.wait(self._ending)

    async def _found(self) -> Worker:
        while True:
            while self._idle:
                worker = self._idle.pop()
                self._timers.pop(worker).cancel()
                if worker.alive:
                    return worker
                self._end(worker)
            if not self._spares:
                return await self._start()
            # One is on its way: a further one could be more than the most.
            await asyncio.wait({self._spares[0]})

    def _fill(self) -> None:
        for _ in range(self._fewest - self._busy - len(self._idle) - len(self._spares)):
            spare = asyncio.ensure_future(self._spare())
            self._spares.append(spare)
            spare.add_done_callback(self._spares.remove)

    async def _spare(self) -> None:
        # Where a spare one cannot be started, the attempt that needs it says why.
        with suppress(NotStartedError, OSError):
            self._rest(await self._start())

    def _rest(self, worker: Worker) -> None:
        self._idle.append(worker)
        loop = asyncio.get_running_loop()
        now, first = loop.time(), min(self._ttl, self._surplus_ttl)
        self._timers[worker] = loop.call_at(now + first, self._look_at, worker, now)

    def _look_at(self, worker: Worker, since: float) -> None:
        """Let a worker go that nobody needed since then."""
        loop = asyncio.get_running_loop()
        if self._busy + len(self._idle) > self._fewest:
            due = since + self._surplus_ttl
        else:
            due = (loop.time() if self._busy else self._used) + self._ttl
        if due <= loop.time():
            self._let_go(worker)
        else:
            self._timers[worker] = loop.call_at(due, self._look_at, worker, since)

    def _let_go(self, worker: Worker) -> None:
        self._idle.remove(worker)
        self._timers.pop(worker).cancel()
        self._end(worker)

    def _end(self, worker: Worker) -> None:
        ending = asyncio.ensure_future(worker.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _leave(self) -> None:
        self._busy -= 1
        self._used = asyncio.get_running_loop().time()
        self._wake()

    def _wake(self) -> None:
        # Those that wait look in the order of their coming; whoever comes later waits for the next.
        self._room.set()
        self._room = asyncio.Event()
