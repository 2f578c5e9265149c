"""Live workers as processes of this machine."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.exited import exit_of, exited
from tasksdk.engines.kin import MARK, end_group
from tasksdk.engines.mounted import mounted
from tasksdk.engines.worker import NotStartedError, Worker

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec
    from tasksdk.engines.followed import Followed
    from tasksdk.engines.undertaker import Undertaker


class ProcessWorker(Worker):
    """A process group of its own; mounted secrets are there while it runs an attempt."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, undertaker: Undertaker, grace: float) -> None:
        super().__init__(name, process)
        self._undertaker = undertaker
        self._grace = grace

    @classmethod
    async def start(cls, spec: AttemptSpec, undertaker: Undertaker, grace: float) -> ProcessWorker:
        """Start one.

        Raises:
            NotStartedError: its program cannot be run.
        """
        undertaker.keep(spec.name)
        try:
            process = await asyncio.create_subprocess_exec(
                *spec.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=spec.workdir,
                env={**os.environ, **spec.env, MARK: spec.name},
                start_new_session=True,
            )
        except BaseException as error:
            undertaker.forget(spec.name)
            if not isinstance(error, (OSError, ValueError)):
                raise
            message = f"{spec.task} could not be started: {error}"
            raise NotStartedError(Exit(ExitReason.NOT_STARTED, message=message)) from None
        return cls(spec.name, process, undertaker, grace)

    async def do(self, attempt: Followed) -> Exit | None:
        """Run an attempt, with its secrets where it looks for them."""
        with ExitStack() as stack:
            for secret in attempt.spec.secrets:
                if secret.mount is not None:
                    stack.enter_context(mounted(secret, secret.mount))
            return await super().do(attempt)

    async def interrupt(self) -> None:
        """Ask it to end, then kill it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        await self._wait()
        end_group(self._process.pid, self.name)

    async def end(self) -> None:
        """Kill it, and whoever it left behind."""
        end_group(self._process.pid, self.name)
        await self._gone()
        self._undertaker.forget(self.name)

    async def verdict(self) -> Exit:
        """How the process itself ended."""
        await self._wait()
        end_group(self._process.pid, self.name)
        code = await self._process.wait()
        return exit_of(code) if code < 0 else Exit(ExitReason.LOST, message="its worker ended")

    async def _wait(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(exited(self._process), self._grace)
