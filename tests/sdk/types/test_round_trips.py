"""What goes in comes out, for every type, alone and inside every container."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, NewType, Optional

import pytest
from flyteidl2.core.literals_pb2 import Literal
from flyteidl2.core.types_pb2 import SimpleType
from hypothesis import given
from hypothesis import strategies as st
from tasksdk.types import TypeEngine

from .samples import KINDS, Node, Point, steady

UserId = NewType("UserId", int)


def through(value: Any, hint: Any) -> Any:
    """The value after a trip over the wire."""
    wire = TypeEngine.to_literal(value, hint, TypeEngine.to_literal_type(hint)).SerializeToString()
    return TypeEngine.to_python_value(Literal.FromString(wire), hint)


@pytest.mark.parametrize("hint", KINDS, ids=str)
@steady
@given(data=st.data())
def test_a_value_comes_back(hint: Any, data: st.DataObject) -> None:
    value = data.draw(KINDS[hint])
    found = through(value, hint)
    assert found == value
    assert type(found) is type(value)


@steady
@given(data=st.data())
def test_a_value_comes_back_from_within(data: st.DataObject) -> None:
    hint = data.draw(st.sampled_from(list(KINDS)))
    value = data.draw(KINDS[hint])
    assert through([value], list[hint]) == [value]
    assert through([value] * 300, list[hint]) == [value] * 300
    assert through({"k": value}, dict[str, hint]) == {"k": value}
    assert through({1: value}, dict[int, hint]) == {1: value}
    assert through((value, 1), tuple[hint, int]) == (value, 1)


@steady
@given(data=st.data())
def test_an_optional_comes_back(data: st.DataObject) -> None:
    hint = data.draw(st.sampled_from(list(KINDS)))
    value = data.draw(KINDS[hint])
    optional = Optional[hint]  # noqa: UP045 - the older spelling must work too
    assert through(value, optional) == value
    assert through(None, optional) is None


@steady
@given(data=st.data())
def test_a_union_comes_back_as_the_type_that_went_in(data: st.DataObject) -> None:
    first, second = data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=2, max_size=2, unique_by=id))
    value = data.draw(KINDS[first])
    found = through([value], list[first | second] if not (first is Any or second is Any) else list[Any])
    assert found == [value]
    assert type(found[0]) is type(value)


@steady
@given(data=st.data())
def test_anything_comes_back_without_a_type(data: st.DataObject) -> None:
    hint = data.draw(st.sampled_from([hint for hint in KINDS if hint is not dict]))
    value = data.draw(KINDS[hint])
    found = through(value, Any)
    assert found == value
    assert type(found) is type(value)


@steady
@given(data=st.data())
def test_equal_values_make_equal_literals(data: st.DataObject) -> None:
    hint = data.draw(st.sampled_from(list(KINDS)))
    value = data.draw(KINDS[hint])
    one, other = (TypeEngine.to_literal(value, hint, None).SerializeToString(deterministic=True) for _ in range(2))
    assert one == other


@steady
@given(st.sets(st.text(st.characters(exclude_categories=["Cs"])), min_size=2))
def test_a_set_has_one_literal_whatever_its_order(value: set[str]) -> None:
    other: set[str] = set()
    other.update(sorted(value, reverse=True))
    assert TypeEngine.to_literal(value, set[str], None) == TypeEngine.to_literal(other, set[str], None)


def test_wrappers_of_types_are_looked_through() -> None:
    assert through(3, UserId) == 3
    assert through(3, Annotated[int, "unit: km"]) == 3
    assert through([Point(1.0)], Annotated[list[Annotated[Point, {"un": "hashable"}]], []]) == [Point(1.0)]
    assert TypeEngine.to_literal_type(UserId).simple == SimpleType.INTEGER
    assert TypeEngine.to_literal_type(None).simple == SimpleType.NONE


@pytest.mark.parametrize("items", [[*range(300)], [0.5] * 300, ["x"] * 300, [True] * 300, [Point(1.0)] * 300])
def test_long_lists_are_one_binary(items: list[Any]) -> None:
    hint = list[type(items[0])]  # type: ignore[misc] # a type made at run time
    literal = TypeEngine.to_literal(items, hint, None)
    assert literal.scalar.binary.tag == "msgpack"
    assert TypeEngine.to_literal(items[:255], hint, None).HasField("collection")
    assert TypeEngine.to_python_value(literal, hint) == items
    assert TypeEngine.to_literal_type(hint).HasField("collection_type")


def test_long_lists_are_read_from_plain_literals_too() -> None:
    literal = Literal()
    for number in range(1000):
        literal.collection.literals.append(TypeEngine.to_literal(number, int, None))
    assert TypeEngine.to_python_value(literal, list[int]) == list(range(1000))


@steady
@given(data=st.data())
def test_the_async_twins_do_the_same(data: st.DataObject) -> None:
    hint = data.draw(st.sampled_from(list(KINDS)))
    value = data.draw(KINDS[hint])

    async def both() -> Any:
        literal = await TypeEngine.to_literal.aio(value, hint, TypeEngine.to_literal_type(hint))
        assert literal == TypeEngine.to_literal(value, hint, None)
        return await TypeEngine.to_python_value.aio(literal, hint)

    assert asyncio.run(both()) == value


def test_many_threads_meet_a_class_at_once() -> None:
    @dataclass
    class Fresh:
        nodes: list[Node]
        either: int | str | None = None

    value = Fresh([Node(1, Node(2))], "x")
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: through(value, Fresh), range(64)))
    assert found == [value] * 64
