"""Attempts as processes on this machine: no image, no limits but time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import AttemptEvent, AttemptSpec, Exit, ExitReason, Phase
from tasksdk.engines.lines import Lines
from tasksdk.engines.mounted import mounted
from tasksdk.engines.undertaker import MARK, Undertaker, end_group
from tasksdk.errors import EngineError, TaskSdkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tasksdk.engines.attempt import LogLine

GRACE = 2.0
_POLL = 0.02


class _Attempt:
    def __init__(self, spec: AttemptSpec) -> None:
        self.spec = spec
        self.lines = Lines()
        self.events = [AttemptEvent(Phase.QUEUED, time.time())]
        self.changed = asyncio.Event()
        self.why: Exit | None = None
        self.stop = asyncio.Event()
        self.work: asyncio.Task[None] | None = None

    def tell(self, event: AttemptEvent) -> None:
        self.events.append(event)
        self.changed.set()
        self.changed = asyncio.Event()

    def end(self, why: Exit) -> None:
        """Ask for an end; the first to ask says why."""
        if self.why is None:
            self.why = why
        self.stop.set()


class ProcessEngine:
    """Runs each attempt as a process group of its own, under the client's user; it dies with the client."""

    name = "process"
    runs_images = False

    def __init__(self, *, grace: float = GRACE) -> None:
        self._grace = grace
        self._attempts: dict[str, _Attempt] = {}
        self._undertaker = Undertaker()

    async def submit(self, spec: AttemptSpec) -> None:
        """Start the process, or join the attempt of that name."""
        if spec.name not in self._attempts:
            attempt = self._attempts[spec.name] = _Attempt(spec)
            attempt.work = asyncio.ensure_future(self._run(attempt))

    async def watch(self, name: str) -> AsyncIterator[AttemptEvent]:
        """The phases so far, then each change."""
        attempt = self._attempt(name)
        shown = 0
        while True:
            changed = attempt.changed
            for event in attempt.events[shown:]:
                shown += 1
                yield event
                if event.phase.terminal:
                    return
            await changed.wait()

    async def logs(self, name: str) -> AsyncIterator[LogLine]:
        """What it wrote and writes."""
        async for line in self._attempt(name).lines.read():
            yield line

    async def abort(self, name: str, reason: str = "") -> None:
        """End the process and all it started."""
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
        for attempt in self._attempts.values():
            attempt.lines.discard()
        self._undertaker.close()

    def _attempt(self, name: str) -> _Attempt:
        try:
            return self._attempts[name]
        except KeyError:
            raise EngineError(f"engine {self.name}: there is no attempt {name!r}") from None

    async def _run(self, attempt: _Attempt) -> None:
        try:
            with ExitStack() as stack:
                ended = await self._process(attempt, stack)
        except (OSError, TaskSdkError, ValueError) as error:
            ended = Exit(ExitReason.NOT_STARTED, message=f"{attempt.spec.task} could not be started: {error}")
        attempt.lines.close()
        attempt.tell(AttemptEvent(ended.phase, time.time(), ended))

    async def _process(self, attempt: _Attempt, stack: ExitStack) -> Exit:
        spec = attempt.spec
        if not spec.argv:
            return Exit(ExitReason.NOT_STARTED, message="there is no command: this engine runs no images")
        variables = {**os.environ, **spec.env, MARK: spec.name}
        for secret in spec.secrets:
            if secret.variable is not None:
                variables[secret.variable] = secret.reveal()
            if secret.mount is not None:
                stack.enter_context(mounted(secret, secret.mount))
        self._undertaker.keep(spec.name)
        stack.callback(self._undertaker.forget, spec.name)
        process = await asyncio.create_subprocess_exec(
            *spec.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=spec.workdir,
            env=variables,
            start_new_session=True,
        )
        attempt.tell(AttemptEvent(Phase.RUNNING, time.time()))
        assert process.stdout is not None
        assert process.stderr is not None
        copying = asyncio.gather(
            attempt.lines.copy(process.stdout, "stdout"), attempt.lines.copy(process.stderr, "stderr")
        )
        try:
            await self._wait(attempt, process)
        finally:
            # Also whoever it left behind, who may hold the pipes open.
            end_group(process.pid, spec.name)
            await process.wait()
            await copying
        return attempt.why or _exit(process.returncode)

    async def _wait(self, attempt: _Attempt, process: asyncio.subprocess.Process) -> None:
        ended, stopped = asyncio.ensure_future(_exited(process)), asyncio.ensure_future(attempt.stop.wait())
        bound = attempt.spec.max_runtime
        try:
            await asyncio.wait({ended, stopped}, timeout=bound, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return
            if not stopped.done():
                attempt.end(Exit(ExitReason.TIMED_OUT, message=f"it ran longer than {bound:g} s"))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            await asyncio.wait({ended}, timeout=self._grace)
        finally:
            stopped.cancel()
            ended.cancel()


async def _exited(process: asyncio.subprocess.Process) -> None:
    """Wait for the process alone: asyncio's own wait lasts until all who share its output have ended."""
    if not hasattr(os, "pidfd_open"):
        while process.returncode is None:  # noqa: ASYNC110 - no event tells of it on this system
            await asyncio.sleep(_POLL)
        return
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    ended: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(handle, tell)
    try:
        await ended
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _exit(code: int | None) -> Exit:
    assert code is not None
    if code == 0:
        return Exit(ExitReason.COMPLETED, 0)
    if code > 0:
        return Exit(ExitReason.ERROR, code, message=f"exit code {code}")
    number = -code
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return Exit(ExitReason.SIGNALED, signal=number, message=f"ended by {name}")


def python_variables() -> dict[str, str]:
    """What lets another Python on this machine import what this one can."""
    paths = [os.path.abspath(path) for path in sys.path if "site-packages" not in path]  # noqa: PTH100 - "" is the cwd
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
