"""Promises, graphs, sandboxes and the other names of the older API."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import timedelta

import pytest
import tasksdk
from flyteidl2.core.literals_pb2 import LiteralMap
from tasksdk import (
    Context,
    DeckField,
    Graph,
    NativeInterface,
    Promise,
    PythonTask,
    Task,
    TaskEnvironment,
    TaskMetadata,
    VoidPromise,
    kwtypes,
)
from tasksdk.context.current import LOCAL_TASK_EXECUTION
from tasksdk.errors import TaskInputError, UserInputError
from tasksdk.literals import map_message, to_literals

env = TaskEnvironment("older")
CALLS: list[int] = []


class Plus(PythonTask):
    """Adds one."""

    def __init__(self, name: str = "plus", **settings: object) -> None:
        super().__init__("plus", name, interface=NativeInterface(kwtypes(x=int), kwtypes(y=int)), **settings)

    def execute(self, **kwargs: int) -> int:
        CALLS.append(kwargs["x"])
        self.mode = Context.current().data.execution_mode
        return kwargs["x"] + 1


plus = Plus()
bounded = Plus("bounded", metadata=TaskMetadata(retries=2, timeout=60, interruptible=True))
kept = Plus("kept", metadata=TaskMetadata(cache=True, cache_version="1"))


@env.task
def both(x: int) -> tuple[int, str]:
    return x, str(x)


@env.task
def nothing(x: int) -> None:
    CALLS.append(x)


@env.task
async def later(x: int) -> int:
    await asyncio.sleep(0)
    return x


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def test_kwtypes_is_ordered() -> None:
    assert kwtypes(b=int, a=str) == OrderedDict([("b", int), ("a", str)])


def test_names_are_exported() -> None:
    for name in ("DYNAMIC_PARTITIONS", "MODEL_CARD", "DATA_CARD", "UNSET_CARD"):
        assert isinstance(getattr(tasksdk, name), str)
    assert tasksdk.T.__name__ == "T"


def test_values_in_promises_out() -> None:
    promise = plus.local_execute(Context.current(), x=1)
    assert isinstance(promise, Promise)
    assert (promise.var, promise.value, promise.is_ready) == ("y", 2, True)
    assert promise.val.scalar.primitive.integer == 2
    assert plus.local_execute(None, x=promise).value == 3
    left, right = both.local_execute(None, x=promise)
    assert (left, right) == (2, "2")
    assert isinstance(nothing.local_execute(None, x=left), VoidPromise)
    assert asyncio.run(later.local_execute(None, x=left)).value == 2
    assert CALLS == [1, 2, 2]


def test_a_call_consults_the_cache() -> None:
    assert [kept.local_execute(None, x=5).value for _ in range(3)] == [6, 6, 6]
    assert CALLS == [5]


def test_nothing_cannot_be_passed_on() -> None:
    void = nothing.local_execute(None, x=1)
    with pytest.raises(UserInputError, match=r"older\.nothing has no outputs"):
        plus.local_execute(None, x=void)
    with pytest.raises(TaskInputError, match="needs its input"):
        plus.local_execute(None)


def test_calls_are_recorded_as_a_graph() -> None:
    with Graph() as graph:
        first = plus(x=1)
        second = bounded(x=first)
        pair = both(x=second)
        end = nothing(pair[0])
    assert CALLS == []
    assert isinstance(end, VoidPromise)
    assert [(node.id, node.task.name) for node in graph.nodes] == [
        ("n0", "plus"),
        ("n1", "bounded"),
        ("n2", "older.both"),
        ("n3", "older.nothing"),
    ]
    assert graph.nodes[3].upstream == [graph.nodes[2]]
    assert graph.nodes[0].upstream == []
    metadata = graph.nodes[1].metadata
    assert (metadata.name, metadata.retries, metadata.timeout, metadata.interruptible) == (
        "bounded",
        2,
        timedelta(seconds=60),
        True,
    )
    with pytest.raises(UserInputError, match="recorded, not run"):
        _ = first.value
    with pytest.raises(UserInputError, match="not called in a graph"):
        plus.compile(Context.current(), x=1)
    assert plus(x=1) == 2


def test_a_sandbox_dispatches_in_its_own_state() -> None:
    found = plus.sandbox_execute(Context.current(), map_message(to_literals({"x": 2}, {"x": int}, "t")))
    assert isinstance(found, LiteralMap)
    assert found.literals["y"].scalar.primitive.integer == 3
    assert plus.mode == plus.local_execution_mode() == LOCAL_TASK_EXECUTION == "LOCAL_TASK_EXECUTION"


def test_an_instance_knows_its_variable() -> None:
    assert (plus.lhs, plus.find_lhs(), plus.instantiated_in) == ("plus", "plus", __name__)
    assert plus.location == f"{__name__}.plus"
    assert Plus().lhs is None


def test_types_of_variables() -> None:
    assert (plus.get_type_for_input_var("x", None), plus.get_type_for_output_var("y", None)) == (int, int)
    assert plus.get_input_types() == {"x": int}
    assert plus.interface.inputs.variables[0].key == "x"


def test_decks_are_reports() -> None:
    with pytest.raises(ValueError, match="contradict"):
        Plus(disable_deck=True, enable_deck=True)
    with pytest.raises(ValueError, match="part of a deck"):
        Plus(deck_fields=("x",))
    with pytest.warns(FutureWarning, match="disable_deck"):
        without = Plus(disable_deck=True)
    with_deck = Plus(enable_deck=True, deck_fields=(DeckField.INPUT,), environment={"A": "1"}, task_config={"k": 1})
    assert (without.enable_deck, without.deck_fields) == (False, ())
    assert (with_deck.report, with_deck.deck_fields) == (True, (DeckField.INPUT,))
    assert (with_deck.environment, with_deck.env_vars, with_deck.task_config) == ({"A": "1"}, {"A": "1"}, {"k": 1})
    with pytest.warns(FutureWarning, match="disable_deck"):
        assert not with_deck.disable_deck


def test_every_property_of_a_task_is_readable() -> None:
    task = Task("type", "name", metadata=TaskMetadata(retries=1), task_type_version=3)
    assert (task.task_type, task.name, task.task_type_version, task.docs) == ("type", "name", 3, None)
    assert task.metadata.retries == 1
    assert task.python_interface is None
    assert task.security_context is None
