"""Attempts as containers of the local Docker, or of any that the `docker` command speaks to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.docker_client import DockerClient, last_line
from tasksdk.engines.docker_worker import DockerWorker
from tasksdk.engines.local_engine import LocalEngine
from tasksdk.engines.undertaker import Undertaker
from tasksdk.errors import EngineError

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec
    from tasksdk.engines.followed import Followed
    from tasksdk.engines.worker import Worker


class DockerEngine(LocalEngine):
    """Runs each attempt in a container of its own, which is removed when it has ended or the client is gone."""

    name = "docker"
    runs_images = True
    helper_image = None

    def __init__(self, *, command: str = "docker") -> None:
        super().__init__(Undertaker([command, "rm", "--force", "--volumes"]))
        self._docker = DockerClient(command)

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
            await self._docker.remove(name)
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
        assert process.stdout is not None
        assert process.stderr is not None
        copying = asyncio.gather(
            attempt.lines.copy(process.stdout, "stdout"), attempt.lines.copy(process.stderr, "stderr")
        )
        ended, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(attempt.stop.wait())
        try:
            bound = spec.max_runtime
            await asyncio.wait({ended, stopped}, timeout=bound, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                if not stopped.done():
                    attempt.end(Exit(ExitReason.TIMED_OUT, message=f"it ran longer than {bound:g} s"))
                await self._docker.kill(spec.name)
                await ended
            how = await self._docker.end_of(spec.name)
        finally:
            stopped.cancel()
            if not ended.done():
                process.kill()
            await copying
        return attempt.why or how
