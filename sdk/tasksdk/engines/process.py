"""Attempts as processes on this machine: no image, no limits but time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.exited import exit_of, exited
from tasksdk.engines.kin import MARK, end_group
from tasksdk.engines.local_engine import LocalEngine
from tasksdk.engines.mounted import mounted
from tasksdk.engines.process_worker import ProcessWorker
from tasksdk.engines.undertaker import Undertaker
from tasksdk.errors import UserInputError

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec
    from tasksdk.engines.followed import Followed
    from tasksdk.engines.worker import Worker

GRACE = 2.0
_POLL = 0.02
_LAST_LOOK = 2.0


class ProcessEngine(LocalEngine):
    """Runs each attempt as a process group of its own, under the client's user; it dies with the client."""

    name = "process"
    runs_images = False
    helper_image = None

    def __init__(self, *, grace: float = GRACE) -> None:
        given: object = grace
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given < float("inf"):
            raise UserInputError(f"engine process: grace: {grace!r} is no number of seconds")
        super().__init__(Undertaker())
        self._grace = grace

    async def _worker(self, spec: AttemptSpec) -> Worker:
        return await ProcessWorker.start(spec, self._undertaker, self._grace)

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
            await self._bury(attempt, process, copying)
        return attempt.why or exit_of(process.returncode)

    async def _bury(
        self, attempt: Followed, process: asyncio.subprocess.Process, copying: asyncio.Future[tuple[None, None]]
    ) -> None:
        """End the process and whoever it left behind, and take what is left of its output."""
        deadline, pause = time.monotonic() + _LAST_LOOK, _POLL
        while True:
            await asyncio.to_thread(end_group, process.pid, attempt.spec.name)
            # One that was started while this looked still has the output open; so may one that escaped, for ever.
            await asyncio.wait({copying}, timeout=pause)
            pause *= 2
            if copying.done() or time.monotonic() > deadline:
                break
        if not copying.done():
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
            attempt.lines.add(b"... a process that it left behind still writes; that is not kept ...", "stderr")
        while process.returncode is None:  # noqa: ASYNC110 - its event waits for the output, too
            await asyncio.sleep(_POLL)
        process._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - the one way to let go of its pipes

    async def _wait(self, attempt: Followed, process: asyncio.subprocess.Process) -> None:
        ended, stopped = asyncio.ensure_future(exited(process)), asyncio.ensure_future(attempt.stop.wait())
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


def python_variables() -> dict[str, str]:
    """What lets another Python on this machine import what this one can."""
    paths = [os.path.abspath(path) for path in sys.path if "site-packages" not in path]  # noqa: PTH100 - "" is the cwd
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
