from __future__ import annotations

import asyncio
import os
import select
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tasksdk import with_runcontext
from tasksdk.engines.attempt import AttemptEvent, AttemptSpec, Exit, Phase
from tasksdk.engines.registry import open_engine

from imagebuilder import Image
from imagebuilder.api import build

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasksdk.engines.port import Engine
    from tasksdk.running.runner import Runner

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

    def patient(self, name: str, **fields: Any) -> AttemptSpec:
        """It goes on until it is asked to end, and then ends at once."""
        return self.sh(name, "trap 'exit 143' TERM; sleep 1000 & wait", **fields)

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

    def wait_until_nothing_is_left(self) -> None:
        """For a cluster that lost its mind: a controller that has not heard of a Job's end yet may make it a pod.

        The pod goes when the cluster's collection of what has no owner has heard of it.
        """
        end = time.monotonic() + 120
        while left := self.left():
            assert time.monotonic() < end, left
            time.sleep(0.2)

    def wait_for_process(self, word: str) -> None:
        """Until the process of this machine, which is the node, that has the word in its command has ended."""
        found = []
        for one in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                found += [int(one.parent.name)] if word.encode() in one.read_bytes() else []
        assert found
        for number in found:
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(number)
                assert select.select([handle], [], [], 60)[0]
                os.close(handle)

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


@pytest.fixture(scope="session")
def image() -> str:
    """An image with the SDK, whose user may not write what belongs to whoever runs the tests."""
    made = Image.from_base(BASE, name="kube/sdk").with_sdk(python_version="3.11").with_user("somebody")
    (result,) = build(made, registry=BASE.split("/", maxsplit=1)[0])
    return f"{result.uri}@{result.digest}"


@pytest.fixture
def shared(ward: Ward, tmp_path: Path) -> str:
    """A folder that pods see too."""
    folder = str(tmp_path / "shared")
    ward.settings["storage"] = [{"path": folder, "volume": {"hostPath": {"path": folder, "type": "DirectoryOrCreate"}}}]
    return folder


@pytest.fixture
def remote(ward: Ward, shared: str) -> Callable[[], Runner]:
    engine = ward.open()
    return lambda: with_runcontext(mode="remote", engine=engine, run_base_dir=shared)
