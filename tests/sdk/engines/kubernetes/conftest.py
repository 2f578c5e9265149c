from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tasksdk.engines.attempt import AttemptEvent, AttemptSpec, Exit, Phase
from tasksdk.engines.registry import open_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasksdk.engines.port import Engine

    from ...conftest import Cluster

BASE = f"{os.environ.get('IMAGEBUILDER_TEST_REGISTRY', 'localhost:5000')}/library/python:3.11-slim-bookworm"


@dataclass(frozen=True)
class Told:
    """What an engine told about one attempt, all of it."""

    events: list[AttemptEvent]
    lines: list[str]

    @property
    def end(self) -> Exit:
        assert self.events[-1].exit is not None
        return self.events[-1].exit


@dataclass(frozen=True)
class Ward:
    """The engine on a namespace of its own, and what is left there."""

    cluster: Cluster
    settings: dict[str, Any]

    def open(self) -> Engine:
        return open_engine("kubernetes", self.settings)

    def spec(self, name: str, *argv: str, **fields: Any) -> AttemptSpec:
        fields = {"image": BASE, "run": "run", "action": name, "attempt": 1, "task": "env.task", **fields}
        return AttemptSpec(name=name, argv=argv, **fields)

    def sh(self, name: str, script: str, **fields: Any) -> AttemptSpec:
        return self.spec(name, "sh", "-c", script, **fields)

    def run(self, spec: AttemptSpec, when_running: Callable[[], Awaitable[None]] | None = None) -> Told:
        async def story() -> Told:
            engine = self.open()
            try:
                await engine.submit(spec)
                return await told(engine, spec.name, when_running)
            finally:
                await engine.close()

        return asyncio.run(story())

    def left(self) -> list[str]:
        """Everything of attempts that the namespace still has."""
        name, core = self.cluster.namespace, self.cluster.core
        found = [*self.cluster.batch.list_namespaced_job(name).items, *core.list_namespaced_pod(name).items]
        return [one.metadata.name for one in (*found, *core.list_namespaced_secret(name).items)]

    def pod(self) -> Any:
        (pod,) = self.cluster.core.list_namespaced_pod(self.cluster.namespace).items
        return pod


async def told(engine: Engine, name: str, when_running: Callable[[], Awaitable[None]] | None = None) -> Told:
    async def read() -> list[str]:
        return [line.text async for line in engine.logs(name)]

    reading, events = asyncio.ensure_future(read()), []
    async for event in engine.watch(name):
        events.append(event)
        if event.phase is Phase.RUNNING and when_running is not None:
            await when_running()
    return Told(events, await reading)


@pytest.fixture
def ward(cluster: Cluster) -> Ward:
    return Ward(cluster, {"namespace": cluster.namespace, "grace_seconds": 1, "keep_seconds": 1})
