"""Live workers as containers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.worker import NotStartedError, Worker

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec
    from tasksdk.engines.docker_client import DockerClient
    from tasksdk.engines.undertaker import Undertaker


class DockerWorker(Worker):
    """A container that listens; mounted secrets are in it as long as it lives."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, docker: DockerClient, undertaker: Undertaker
    ) -> None:
        super().__init__(name, process)
        self._docker = docker
        self._undertaker = undertaker

    @classmethod
    async def start(cls, spec: AttemptSpec, docker: DockerClient, undertaker: Undertaker) -> DockerWorker:
        """Start one.

        Raises:
            NotStartedError: its image cannot be pulled, or its container not be made.
        """
        if spec.image is None:
            raise NotStartedError(Exit(ExitReason.NOT_STARTED, message="there is no image"))
        undertaker.keep(spec.name)
        try:
            refused = await docker.create(spec, interactive=True)
            if refused is None:
                return cls(spec.name, await docker.start(spec.name, interactive=True), docker, undertaker)
        except BaseException:
            await asyncio.shield(_forget(spec.name, docker, undertaker))
            raise
        await _forget(spec.name, docker, undertaker)
        raise NotStartedError(refused)

    async def interrupt(self) -> None:
        """Kill the container."""
        await self._docker.kill(self.name)

    async def end(self) -> None:
        """Remove the container."""
        await _forget(self.name, self._docker, self._undertaker)
        if self._process.returncode is None:
            self._process.kill()
        await self._gone()

    async def verdict(self) -> Exit:
        """How the container ended."""
        await self._process.wait()
        how = await self._docker.end_of(self.name)
        if how is None or how.reason is ExitReason.COMPLETED:
            return Exit(ExitReason.LOST, message="its worker ended")
        return how


async def _forget(name: str, docker: DockerClient, undertaker: Undertaker) -> None:
    if await docker.remove(name):
        undertaker.forget(name)
