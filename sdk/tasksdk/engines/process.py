"""Attempts as processes on this machine: no image, no limits but time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.local_engine import LocalEngine
from tasksdk.engines.mounted import mounted
from tasksdk.engines.undertaker import MARK, Undertaker, end_group

if TYPE_CHECKING:
    from tasksdk.engines.followed import Followed

GRACE = 2.0
_POLL = 0.02


class ProcessEngine(LocalEngine):
    """Runs each attempt as a process group of its own, under the client's user; it dies with the client."""

    name = "process"
    runs_images = False
    helper_image = None

    def __init__(self, *, grace: float = GRACE) -> None:
        super().__init__(Undertaker())
        self._grace = grace

    async def _to_its_end(self, attempt: Followed) -> Exit:
        with ExitStack() as stack:
            return await self._process(attempt, stack)

    async def _process(self, attempt: Followed, stack: ExitStack) -> Exit:
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
        attempt.running()
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

    async def _wait(self, attempt: Followed, process: asyncio.subprocess.Process) -> None:
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
