"""Attempts as containers of the local Docker, or of any that the `docker` command speaks to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.docker_client import DockerClient, last_line
from tasksdk.engines.docker_worker import DockerWorker
from tasksdk.engines.local_engine import LocalEngine
from tasksdk.engines.undertaker import Undertaker
from tasksdk.errors import EngineError, UserInputError

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec
    from tasksdk.engines.followed import Followed
    from tasksdk.engines.worker import Worker


# The most processes and threads of a container, as podman has it: a task that forks without end must leave some.
PROCESSES = 2048
_CUT = b"... the docker command that read its output was ended; what it wrote until now may be missing ..."
_AGAIN = 1.0


class DockerEngine(LocalEngine):
    """Runs each attempt in a container of its own, which is removed when it has ended or the client is gone.

    A container has at most `processes` processes and threads; 0 is no bound.
    """

    name = "docker"
    runs_images = True
    helper_image = None

    def __init__(self, *, command: str = "docker", processes: int = PROCESSES) -> None:
        given: object = processes
        if isinstance(given, bool) or not isinstance(given, int) or given < 0:
            raise UserInputError(f"engine docker: processes: {processes!r} is no number of processes")
        super().__init__(Undertaker([command, "rm", "--force", "--volumes"]))
        self._docker = DockerClient(command, processes)

    async def _check(self, spec: AttemptSpec) -> None:  # noqa: ARG002 - one Docker for all
        try:
            code, _, errors = await self._docker.run("version", "--format", "{{.Server.Version}}")
        except OSError as error:
            code, errors = 1, str(error)
        if code != 0:
            raise EngineError(
                f"engine docker: no Docker answers: {last_line(errors)}", hint="start Docker, or set DOCKER_HOST"
            )

    async def _worker(self, spec: AttemptSpec) -> Worker:
        return await DockerWorker.start(spec, self._docker, self._undertaker)

    async def _to_its_end(self, attempt: Followed) -> Exit:
        name = attempt.spec.name
        self._undertaker.keep(name)
        try:
            return await self._container(attempt)
        finally:
            if await self._docker.remove(name):
                self._undertaker.forget(name)

    async def _container(self, attempt: Followed) -> Exit:
        spec = attempt.spec
        if spec.image is None:
            return Exit(ExitReason.NOT_STARTED, message="there is no image")
        waiting = asyncio.ensure_future(self._docker.create(spec))
        stopped = asyncio.ensure_future(attempt.stop.wait())
        try:
            await asyncio.wait({waiting, stopped}, timeout=spec.max_queued, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                attempt.end(Exit(ExitReason.QUEUED_TOO_LONG, message=f"it waited longer than {spec.max_queued} s"))
                return attempt.why or Exit(ExitReason.LOST)
            refused = waiting.result()
            if refused is not None:
                return refused
            return await self._follow(attempt)
        finally:
            for task in (waiting, stopped):
                task.cancel()
            await asyncio.wait({waiting, stopped})

    async def _follow(self, attempt: Followed) -> Exit:
        spec = attempt.spec
        process = await self._docker.start(spec.name)
        attempt.running()
        ended = asyncio.ensure_future(self._until_it_ends(attempt, process))
        stopped = asyncio.ensure_future(attempt.stop.wait())
        try:
            bound = spec.max_runtime
            await asyncio.wait({ended, stopped}, timeout=bound, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done() and not stopped.done():
                attempt.end(Exit(ExitReason.TIMED_OUT, message=f"it ran longer than {bound:g} s"))
            while not ended.done():
                # One that Docker was still about to start is there to be killed a moment later.
                await self._docker.kill(spec.name)
                await asyncio.wait({ended}, timeout=_AGAIN)
            return attempt.why or ended.result()
        finally:
            for task in (ended, stopped):
                task.cancel()
            await asyncio.wait({ended, stopped})

    async def _until_it_ends(self, attempt: Followed, process: asyncio.subprocess.Process) -> Exit:
        """Take its output until its state says that it has ended: the command that reads it may end before."""
        name = attempt.spec.name
        while True:
            await _copy(attempt, process)
            how = await self._docker.end_of(name)
            if how is not None:
                return how
            attempt.lines.add(_CUT, "stderr")
            await asyncio.sleep(_AGAIN)
            process = await self._docker.attach(name)


async def _copy(attempt: Followed, process: asyncio.subprocess.Process) -> None:
    """Take all that a process writes."""
    assert process.stdout is not None
    assert process.stderr is not None
    copying = asyncio.gather(
        attempt.lines.copy(process.stdout, "stdout"), attempt.lines.copy(process.stderr, "stderr"), process.wait()
    )
    try:
        await copying
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
