"""Which types of tasks run by a plugin, and which as containers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tasksdk import NativeInterface, PythonTask, TaskEnvironment, kwtypes, register_plugin, with_runcontext
from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.fixed import FixedEngine, Outcome
from tasksdk.errors import TaskDefinitionError, TaskTimeoutError
from tasksdk.literals import from_map_message, map_message, to_literals, to_value
from tasksdk.running.plugins import plugin_for

if TYPE_CHECKING:
    from flyteidl2.core.literals_pb2 import LiteralMap
    from flyteidl2.core.tasks_pb2 import TaskTemplate

env = TaskEnvironment("plugins", image="registry/image:1")


class Query(PythonTask):
    """A statement, for whoever runs statements."""

    def __init__(self, name: str, statement: str, task_type: str, **kwargs: Any) -> None:
        interface = NativeInterface(kwtypes(limit=int), kwtypes(rows=str))
        super().__init__(task_type, name, interface=interface, **kwargs)
        self.statement = statement

    def sql(self, sctx: object) -> str:
        return self.statement


class Warehouse:
    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def run(self, template: TaskTemplate, inputs: LiteralMap) -> LiteralMap:
        limit = to_value(from_map_message(inputs)["limit"], int, "limit")
        if limit < 0:
            try:
                await asyncio.sleep(1000)
            finally:
                self.ended.set()
        text = f"{template.type}: {template.sql.statement} limit {limit}"
        return map_message(to_literals({"rows": text}, {"rows": str}, "rows"))


@env.task
def plain(x: int) -> int:
    return x


def _remote(engine: FixedEngine | None = None) -> Any:
    return with_runcontext(mode="remote", engine=engine or FixedEngine(runs_images=True)).run


def test_a_claimed_type_runs_by_its_plugin_and_any_other_as_a_container() -> None:
    register_plugin("warehouse", Warehouse())
    finished = _remote()(Query("query", "select 1", "warehouse"), limit=3)
    assert finished.outputs()[0] == "warehouse: select 1 limit 3"
    assert finished.action.phase == "succeeded"
    for task_type in ("python", "whatever-you-like"):
        engine = FixedEngine(lambda _spec: Outcome(Exit(ExitReason.ERROR, 1)))
        task = plain.override(short_name=task_type)
        task.task_type = task_type
        _remote(engine)(task, x=1).wait()
        assert engine.submitted[0].argv


def test_a_plugin_is_bounded_and_told_to_end() -> None:
    plugin = Warehouse()
    register_plugin("slow-warehouse", plugin)
    with pytest.raises(TaskTimeoutError, match=r"longer than 0\.2 s"):
        _remote()(Query("slow", "select 1", "slow-warehouse", timeout=0.2), limit=-1).outputs()
    assert plugin.ended.is_set()


def test_a_type_that_nothing_runs_is_an_error() -> None:
    with pytest.raises(TaskDefinitionError, match="no plugin runs tasks of type 'unclaimed'"):
        _remote()(Query("lost", "select 1", "unclaimed"), limit=1).outputs()


def test_a_type_is_claimed_once() -> None:
    plugin = Warehouse()
    register_plugin("once", plugin)
    register_plugin("once", plugin)
    with pytest.raises(TaskDefinitionError, match="'once' is claimed"):
        register_plugin("once", Warehouse())
    assert plugin_for("once") is plugin
    assert plugin_for("nobody") is None
