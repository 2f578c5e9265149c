"""All live workers of an engine, in pools of those that are alike."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.pool import Pool
from tasksdk.engines.worker import NotStartedError, worker_spec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from tasksdk.engines.attempt import AttemptSpec
    from tasksdk.engines.followed import Followed
    from tasksdk.engines.worker import Worker

# How many workers in a row may end before they take their first attempt.
_TRIES = 2


class Workers:
    """Runs attempts in live workers, which `start` starts."""

    def __init__(self, start: Callable[[AttemptSpec], Awaitable[Worker]]) -> None:
        self._start = start
        self._pools: dict[Hashable, Pool] = {}

    async def run(self, attempt: Followed) -> Exit:
        """Run an attempt to its end, in a worker that is idle or a new one."""
        pool, ended, tries = self._pool(attempt.spec), None, 0
        loop = asyncio.get_running_loop()
        queued = attempt.spec.max_queued
        until = None if queued is None else loop.time() + queued
        while ended is None:
            worker = await _taken(pool, attempt, None if until is None else max(0.0, until - loop.time()))
            if isinstance(worker, Exit):
                return worker
            tries = tries + 1 if worker.fresh else tries
            try:
                ended = await worker.do(attempt)
            finally:
                await pool.give_back(worker)
            if ended is None and tries == _TRIES:
                message = f"no worker could be started: {worker.complaint}"
                return Exit(ExitReason.NOT_STARTED, message=message)
        return ended

    def are_idle(self, spec: AttemptSpec) -> bool:
        """Whether one waits for an attempt like this."""
        pool = self._pools.get(_kind(spec))
        return pool is not None and pool.idle

    def lend(self, spec: AttemptSpec, places: int) -> None:
        """Let so many more be taken, as that many wait for others; fewer again where it is negative."""
        self._pool(spec).lend(places)

    async def close(self) -> None:
        """End all workers."""
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    def _pool(self, spec: AttemptSpec) -> Pool:
        reuse, key = spec.reuse, _kind(spec)
        assert reuse is not None
        if key not in self._pools:
            self._pools[key] = Pool(reuse.policy, lambda: self._start(worker_spec(spec)))
        return self._pools[key]


async def _taken(pool: Pool, attempt: Followed, bound: float | None) -> Worker | Exit:
    """A worker of the pool, or how the attempt ended without one."""
    taking = asyncio.ensure_future(pool.take())
    stopped = asyncio.ensure_future(attempt.stop.wait())
    try:
        await asyncio.wait({taking, stopped}, timeout=bound, return_when=asyncio.FIRST_COMPLETED)
        if not taking.done():
            taking.cancel()
            await asyncio.wait({taking})
        if not taking.cancelled():
            return taking.result()
    except NotStartedError as error:
        return error.how
    finally:
        stopped.cancel()
    spec = attempt.spec
    attempt.end(Exit(ExitReason.QUEUED_TOO_LONG, message=f"it waited longer than {spec.max_queued} s"))
    return attempt.why or Exit(ExitReason.LOST)


def _kind(spec: AttemptSpec) -> Hashable:
    """Equal for attempts that may share a worker; the values of secrets are in it as digests alone."""
    alike: Any = worker_spec(spec).replace(
        name="", run="", action="", attempt=0, task="", secrets=(), max_runtime=None, max_queued=None, template=b""
    )
    secrets = ((one.key, one.variable, one.mount, sha256(one.reveal().encode()).digest()) for one in spec.secrets)
    return (alike, tuple(secrets))
