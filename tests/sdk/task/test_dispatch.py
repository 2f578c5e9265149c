"""The pipeline that every task runs through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flyteidl2.core.literals_pb2 import LiteralMap
from tasksdk import (
    Context,
    ContextData,
    IgnoreOutputs,
    NativeInterface,
    PythonTask,
    TaskContext,
    TaskEnvironment,
    ctx,
    kwtypes,
)
from tasksdk.context.current import ActionID
from tasksdk.errors import TaskInputError, TaskOutputError
from tasksdk.literals import map_message, to_literals, to_value
from tasksdk.task.dispatch import dispatch, drive

env = TaskEnvironment("pipeline")


class Recorded(PythonTask):
    def __init__(self, fail: type[Exception] | None = None) -> None:
        super().__init__("recorded", "recorded", interface=NativeInterface(kwtypes(x=int), kwtypes(y=int)))
        self.seen: list[str] = []
        self.fail = fail

    def pre_execute(self, user_params: TaskContext | None) -> TaskContext | None:
        self.seen.append("pre_execute")
        assert user_params is not None
        return user_params.replace(version="changed")

    def pre(self, **kwargs: Any) -> dict[str, Any]:
        self.seen.append(f"pre {kwargs}")
        return {"added": 1}

    def execute(self, **kwargs: Any) -> int:
        context = ctx()
        assert context is not None
        self.seen.append(f"execute {context.version} {context.data}")
        if self.fail is not None:
            raise self.fail
        return int(kwargs["x"])

    def post(self, return_vals: Any) -> Any:
        self.seen.append(f"post {return_vals}")
        return return_vals + 1

    def post_execute(self, user_params: TaskContext | None, rval: Any) -> Any:
        assert user_params is not None
        self.seen.append(f"post_execute {user_params.version} {rval}")
        return rval * 10


CONTEXT = Context(ContextData(TaskContext(action=ActionID("a", "r"))))


def test_the_hooks_stand_around_the_body_in_order() -> None:
    task = Recorded()
    found = drive(dispatch(task, CONTEXT, to_literals({"x": 2}, {"x": int}, "t")))
    assert to_value(found["y"], int, "y") == 30
    assert task.seen == [
        "pre_execute",
        "pre {'x': 2}",
        "execute changed {'added': 1}",
        "post 2",
        "post_execute changed 3",
    ]
    assert ctx() is None


def test_the_messages_go_the_same_way() -> None:
    found = Recorded().dispatch_execute(CONTEXT, map_message(to_literals({"x": 2}, {"x": int}, "t")))
    assert isinstance(found, LiteralMap)
    assert found.literals["y"].scalar.primitive.integer == 30


def test_outputs_can_be_ignored() -> None:
    with pytest.raises(IgnoreOutputs):
        drive(dispatch(Recorded(IgnoreOutputs), CONTEXT, to_literals({"x": 2}, {"x": int}, "t")))


def test_an_asynchronous_task_is_awaited_and_so_is_what_it_returns() -> None:
    @env.task
    async def later(x: int) -> int:
        await asyncio.sleep(0)
        return asyncio.ensure_future(asyncio.sleep(0, x + 1))  # type: ignore[return-value] # awaitable results are awaited

    found = asyncio.run(dispatch(later, CONTEXT, to_literals({"x": 2}, {"x": int}, "t")))
    assert to_value(found["o0"], int, "o0") == 3


@pytest.mark.parametrize(("given", "message"), [({}, "needs its input 'x'"), ({"x": 1, "z": 2}, "no input z")])
def test_inputs_are_exactly_those_of_the_interface(given: dict[str, int], message: str) -> None:
    with pytest.raises(TaskInputError, match=message):
        drive(dispatch(Recorded(), CONTEXT, to_literals(given, dict.fromkeys(given, int), "t")))


def test_outputs_are_as_many_as_the_interface_says() -> None:
    @env.task
    def nothing() -> None:
        return 3  # type: ignore[return-value] # the lie is the point

    @env.task
    def two() -> tuple[int, int]:
        return 1  # type: ignore[return-value] # as above

    for task in (nothing, two):
        with pytest.raises(TaskOutputError, match=task.name):
            drive(dispatch(task, CONTEXT, {}))
