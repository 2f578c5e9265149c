"""Functions as tasks: names, interfaces, direct calls, overrides."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import pytest
from tasksdk import (
    Cache,
    PythonTask,
    Resources,
    RetryStrategy,
    ReusePolicy,
    Task,
    TaskEnvironment,
    TaskTemplate,
    Timeout,
    ctx,
)
from tasksdk.errors import TaskDefinitionError, TaskInputError
from tasksdk.interface import NativeInterface

env = TaskEnvironment("e", resources=Resources(cpu=1), env_vars={"A": "1"}, cache="auto", reusable=ReusePolicy(2))


class Pair(NamedTuple):
    left: int
    right: str


@env.task
def double(x: int, times: int = 2) -> int:
    """Multiply."""
    return x * times


@env.task(short_name="pair", retries=3, cache="disable", reusable="off", env_vars={"B": "2"}, timeout=0)
async def both(x: int) -> Pair:
    return Pair(x, "b")


@env.task
def loose(a, b=1):  # type: ignore[no-untyped-def] # unannotated on purpose
    return a, b


def test_one_hierarchy() -> None:
    assert TaskTemplate is Task
    assert isinstance(double, PythonTask)
    assert isinstance(double, TaskTemplate)


def test_the_name_is_environment_and_function() -> None:
    assert (double.name, double.short_name, both.short_name) == ("e.double", "double", "pair")
    assert env.tasks["e.double"] is double
    assert double.docs is not None
    assert double.docs.short_description == "Multiply."
    assert double.source_file == __file__


def test_a_direct_call_is_the_plain_function() -> None:
    assert double(2) == 4
    assert double(x=2, times=5) == 10
    assert asyncio.run(both(3)) == Pair(3, "b")
    assert asyncio.run(double.aio(4)) == 8
    assert double.forward(1) == 2
    assert ctx() is None


def test_the_interface_is_that_of_the_annotations() -> None:
    assert double.native_interface == NativeInterface({"x": int, "times": (int, 2)}, {"o0": int})
    assert both.native_interface.outputs == {"left": int, "right": str}
    assert loose.native_interface == NativeInterface({"a": Any, "b": (Any, 1)}, {"o0": Any})


def test_a_task_beats_its_environment() -> None:
    assert double.cache.enabled
    assert not both.cache.enabled
    assert double.reusable == ReusePolicy(2)
    assert both.reusable is None
    assert both.env_vars == {"A": "1", "B": "2"}
    assert both.retries == RetryStrategy(3)
    assert both.timeout.runtime_seconds is None


def test_an_override_is_another_task() -> None:
    changed = double.override(
        short_name="d", retries=0, env_vars={}, reusable="off", cache=Cache(salt="s"), timeout=Timeout(3), queue="q"
    )
    assert changed is not double
    assert (changed.short_name, changed.retries.count, changed.env_vars, changed.reusable) == ("d", 0, {}, None)
    assert (changed.cache.salt, changed.timeout.runtime_seconds, changed.queue) == ("s", 3.0, "q")
    assert (double.short_name, double.env_vars, double.reusable) == ("double", {"A": "1"}, ReusePolicy(2))
    assert changed(2) == 4


@pytest.mark.parametrize("fixed", ["name", "image", "docs", "interface"])
def test_what_a_task_is_cannot_be_overridden(fixed: str) -> None:
    with pytest.raises(ValueError, match=fixed):
        double.override(**{fixed: "x"})


def test_a_setting_that_does_not_exist_is_named() -> None:
    with pytest.raises(TaskDefinitionError, match="colour"):
        env.task(colour="red")
    with pytest.raises(TaskDefinitionError, match="colour"):
        double.override(colour="red")


def test_parameters_need_names() -> None:
    @env.task
    def star(*values: int) -> int:
        return sum(values)

    with pytest.raises(TaskDefinitionError, match="star"):
        _ = star.native_interface


def test_an_annotation_that_names_nothing_is_an_error_that_says_so() -> None:
    @env.task
    def lost(x: Nowhere) -> int:  # type: ignore[name-defined] # noqa: F821 - the point of the test
        return 1

    with pytest.raises(TaskDefinitionError, match="Nowhere"):
        _ = lost.native_interface


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "needs its input 'x'"),
        ((1, 2, 3), {}, "takes 2"),
        ((1,), {"x": 2}, "twice"),
        ((1,), {"z": 2}, "no input 'z'"),
    ],
)
def test_inputs_are_bound_by_name(args: tuple[int, ...], kwargs: dict[str, int], message: str) -> None:
    with pytest.raises(TaskInputError, match=message):
        double.native_interface.bind(args, kwargs, double.name)
