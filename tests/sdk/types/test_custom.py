"""Transformers that users write."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from flyteidl2.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl2.core.types_pb2 import LiteralType, SimpleType
from tasksdk.errors import ConversionError, TaskDefinitionError
from tasksdk.types import RawData, TypeEngine, TypeTransformer, registry

if TYPE_CHECKING:
    from collections.abc import Iterator


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self) -> int:
        return self.cents


class Tip(Money):
    pass


class Other:
    pass


class MoneyTransformer(TypeTransformer[Money]):
    """As the newer API writes one: async."""

    def __init__(self) -> None:
        super().__init__("Money", Money)

    def get_literal_type(self, t: type[Money]) -> LiteralType:
        return LiteralType(simple=SimpleType.INTEGER)

    async def to_literal(self, python_val: Money, python_type: type[Money], expected: LiteralType) -> Literal:
        await asyncio.sleep(0)
        assert expected == self.get_literal_type(Money)
        if python_val.cents < 0:
            raise ValueError("money is never negative")
        return Literal(scalar=Scalar(primitive=Primitive(integer=python_val.cents)))

    async def to_python_value(self, lv: Literal, expected_python_type: type[Money]) -> Money:
        await asyncio.sleep(0)
        return expected_python_type(lv.scalar.primitive.integer)

    def guess_python_type(self, literal_type: LiteralType) -> type[Money]:
        if literal_type.simple == SimpleType.INTEGER and literal_type.structure.tag == "Money":
            return Money
        raise ValueError("not money")


class IntTransformer(TypeTransformer[int]):
    def __init__(self) -> None:
        super().__init__("Int", int)


class OldTransformer(TypeTransformer[Money]):
    """As the older API writes one: plain, with the context first."""

    def __init__(self) -> None:
        super().__init__("OldMoney", Money)
        self.contexts: list[Any] = []

    def get_literal_type(self, t: type[Money]) -> LiteralType:
        return LiteralType(simple=SimpleType.STRING)

    def to_literal(self, ctx: Any, python_val: Money, python_type: type[Money], expected: LiteralType) -> Literal:  # type: ignore[override] # the older API
        self.contexts.append(ctx)
        return Literal(scalar=Scalar(primitive=Primitive(string_value=str(python_val.cents))))

    def to_python_value(self, ctx: Any, lv: Literal, expected_python_type: type[Money]) -> Money:  # type: ignore[override] # the older API
        self.contexts.append(ctx)
        return Money(int(lv.scalar.primitive.string_value))


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    before = registry._state.custom
    TypeEngine.register(MoneyTransformer())
    yield
    registry._state.custom, registry._state.converters = before, {}


@dataclass
class Purchase:
    price: Money
    parts: list[Money]
    tip: Tip | None = None


def through(value: Any, hint: Any) -> Any:
    return TypeEngine.to_python_value(TypeEngine.to_literal(value, hint, TypeEngine.to_literal_type(hint)), hint)


def test_it_serves_the_class_its_subclasses_and_whatever_holds_them() -> None:
    assert TypeEngine.to_literal_type(Money).simple == SimpleType.INTEGER
    assert TypeEngine.to_literal(Money(3), Money, None).scalar.primitive.integer == 3
    assert through(Money(3), Money) == Money(3)
    assert type(through(Tip(3), Tip)) is Tip
    assert through(Purchase(Money(1), [Money(2)], Tip(3)), Purchase) == Purchase(Money(1), [Money(2)], Tip(3))
    assert through([Money(1)] * 300, list[Money]) == [Money(1)] * 300
    assert through({"a": Money(1)}, dict[str, Money]) == {"a": Money(1)}
    assert through(Money(1), Money | str) == Money(1)


def test_coroutines_of_transformers_run_wherever_the_engine_is_called() -> None:
    async def everywhere() -> list[Money]:
        awaited = await TypeEngine.to_python_value.aio(await TypeEngine.to_literal.aio(Money(1), Money, None), Money)
        many = await asyncio.gather(*(TypeEngine.to_literal.aio([Money(n)], list[Money], None) for n in range(20)))
        assert [lit.collection.literals[0].scalar.primitive.integer for lit in many] == list(range(20))
        return [awaited, through(Money(2), Money)]

    assert asyncio.run(everywhere()) == [Money(1), Money(2)]


def test_coroutines_run_in_the_loop_that_awaits_them() -> None:
    seen: list[tuple[object, str]] = []

    class Looking(MoneyTransformer):
        async def to_literal(self, python_val: Money, python_type: type[Money], expected: LiteralType) -> Literal:
            seen.append((asyncio.get_running_loop(), threading.current_thread().name))
            return await super().to_literal(python_val, python_type, expected)

    TypeEngine.register(Looking(), override=True)

    async def here() -> None:
        await TypeEngine.to_literal.aio(Money(1), Money, None)
        assert seen == [(asyncio.get_running_loop(), threading.current_thread().name)]

    asyncio.run(here())


def test_threads_that_resolve_types_do_not_wait_for_each_other() -> None:
    meeting = threading.Barrier(2, timeout=30)

    class Slow(MoneyTransformer):
        def get_literal_type(self, t: type[Money]) -> LiteralType:
            meeting.wait()
            return super().get_literal_type(t)

    TypeEngine.register(Slow(), override=True)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(TypeEngine.to_literal_type, [list[Money], list[Tip]]))
    assert found[0] == found[1]


def test_a_transformer_of_the_older_api_gets_the_context() -> None:
    old = OldTransformer()
    TypeEngine.register(old, override=True)
    raw = RawData("/raw")
    literal = TypeEngine.to_literal(raw, Money(3), Money, TypeEngine.to_literal_type(raw, Money))
    assert TypeEngine.to_python_value(raw, literal, Money) == Money(3)
    assert old.contexts == [raw, raw]


def test_a_second_transformer_needs_to_say_so() -> None:
    with pytest.raises(TaskDefinitionError, match="Money has a transformer already"):
        TypeEngine.register(MoneyTransformer())
    with pytest.raises(TaskDefinitionError, match="int has a transformer already"):
        TypeEngine.register(IntTransformer())
    TypeEngine.register(MoneyTransformer, [Other], override=True)
    assert TypeEngine.to_literal_type(Other).simple == SimpleType.INTEGER


def test_what_it_raises_becomes_the_reason() -> None:
    with pytest.raises(
        ConversionError, match=r"p\.price: expected Money, got Money.*: Money: money is never negative"
    ) as info:
        TypeEngine.to_literal(Purchase(Money(-1), []), Purchase, None, subject="p")
    assert isinstance(info.value.__cause__, ValueError)
    with pytest.raises(ConversionError, match="m: expected Money, got int 3: Money: expected Money, got int"):
        TypeEngine.to_literal(3, Money, None, subject="m")


def test_it_is_asked_first_what_a_literal_type_was() -> None:
    tagged = TypeEngine.to_literal_type(Money | str).union_type.variants[0]
    assert TypeEngine.guess_python_type(tagged) is Money
    assert TypeEngine.guess_python_type(LiteralType(simple=SimpleType.INTEGER)) is int
