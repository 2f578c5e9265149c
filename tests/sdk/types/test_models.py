"""pydantic models."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from decimal import Decimal  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Any, Generic, Literal, Optional, TypeVar
from uuid import UUID  # noqa: TC003 - pydantic reads it

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasksdk.errors import ConversionError
from tasksdk.types import File, RawData, TypeEngine

from .samples import FLOATS, INTEGERS, TEXT, Colour, Point, steady

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class Leaf(pydantic.BaseModel):
    size: int = 1


class Holder(pydantic.BaseModel, Generic[T]):
    content: T


class Tree(pydantic.BaseModel):
    name: str
    children: list[Tree] = []


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")
    day: dt.date
    pair: tuple[int, str]
    names: frozenset[str]


class Everything(pydantic.BaseModel):
    number: int
    ratio: float
    data: bytes
    moment: dt.datetime
    length: dt.timedelta
    price: Decimal
    key: UUID
    colour: Colour
    counts: dict[int, str]
    names: set[str]
    pair: tuple[int, str]
    either: int | str | None
    leaf: Leaf
    point: Point
    kind: Literal["a", "b"]
    renamed: int = pydantic.Field(alias="Renamed")
    maybe: Optional[Leaf] = None  # noqa: UP045 - the older spelling must work too
    defaulted: list[int] = pydantic.Field(default_factory=list)

    @pydantic.computed_field  # type: ignore[prop-decorator] # as pydantic documents it
    @property
    def double(self) -> int:
        return self.number * 2


class Roots(pydantic.RootModel[list[int]]):
    pass


INSTANTS = st.datetimes(timezones=st.none() | st.just(dt.timezone.utc))
MODELS: dict[Any, st.SearchStrategy[Any]] = {
    Leaf: st.builds(Leaf, size=INTEGERS),
    Holder[int]: INTEGERS.map(lambda number: Holder[int](content=number)),
    Tree: st.recursive(
        st.builds(Tree, name=TEXT), lambda inner: st.builds(Tree, name=TEXT, children=st.lists(inner, max_size=3))
    ),
    Strict: st.builds(Strict, day=st.dates(), pair=st.tuples(INTEGERS, TEXT), names=st.frozensets(TEXT)),
    Roots: st.lists(INTEGERS).map(Roots),
    Everything: st.builds(
        lambda renamed, **fields: Everything(Renamed=renamed, **fields),
        renamed=INTEGERS, number=INTEGERS, ratio=FLOATS, data=st.binary(max_size=20), moment=INSTANTS,
        length=st.timedeltas(dt.timedelta(days=-10**6), dt.timedelta(days=10**6)),
        price=st.decimals(allow_nan=False, allow_infinity=False), key=st.uuids(), colour=st.sampled_from(Colour),
        counts=st.dictionaries(INTEGERS, TEXT, max_size=3), names=st.sets(TEXT, max_size=3),
        pair=st.tuples(INTEGERS, TEXT), either=st.none() | INTEGERS | TEXT, leaf=st.builds(Leaf, size=INTEGERS),
        point=st.builds(Point, FLOATS, FLOATS), kind=st.sampled_from(["a", "b"]), maybe=st.none() | st.builds(Leaf),
        defaulted=st.lists(INTEGERS, max_size=3),
    ),
}  # fmt: skip


def through(value: Any, hint: Any) -> Any:
    return TypeEngine.to_python_value(TypeEngine.to_literal(value, hint, TypeEngine.to_literal_type(hint)), hint)


@pytest.mark.parametrize("hint", MODELS, ids=str)
@steady
@given(data=st.data())
def test_a_model_comes_back(hint: Any, data: st.DataObject) -> None:
    value = data.draw(MODELS[hint])
    assert through(value, hint) == value
    assert through([value] * 2, list[hint]) == [value] * 2
    assert through(value, hint | None) == value


@dataclass
class Mixed:
    model: Leaf
    models: dict[str, Leaf]


def test_models_inside_dataclasses_and_unions() -> None:
    value = Mixed(Leaf(size=3), {"a": Leaf(size=4)})
    assert through(value, Mixed) == value
    assert through(Tree(name="x"), Leaf | Tree) == Tree(name="x")
    assert through([Leaf(), Tree(name="x")], list[Leaf | Tree]) == [Leaf(), Tree(name="x")]


def test_the_literal_type_carries_the_schema() -> None:
    found = TypeEngine.to_literal_type(Everything)
    assert found.metadata["title"] == "Everything"
    assert found.metadata["properties"]["number"]["type"] == "integer"
    assert found.metadata["$defs"]["Leaf"]["properties"]["size"]["type"] == "integer"
    assert found.annotation.annotations["cache-key-metadata"]["serialization-format"] == "msgpack"
    assert TypeEngine.to_literal_type(Mixed).metadata["properties"]["model"]["title"] == "Leaf"


class WithFile(pydantic.BaseModel):
    file: File
    more: list[File] = []


def test_files_inside_models_are_uploaded(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    raw = RawData("memory://models")
    value = WithFile(file=File(path), more=[File(path)])
    found = TypeEngine.to_python_value(TypeEngine.to_literal(raw, value, WithFile, None), WithFile)
    assert [file.path.startswith("memory://models/") for file in (found.file, *found.more)] == [True, True]
    again = TypeEngine.to_python_value(TypeEngine.to_literal(RawData(tmp_path / "b"), found, WithFile, None), WithFile)
    assert again == found
    assert value.file.path == str(path)
    assert TypeEngine.to_literal_type(WithFile).metadata["properties"]["file"]["title"] == "File"


def test_a_field_that_does_not_hold_its_type_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"m: expected Leaf, got Leaf.*Expected `int`"):
        TypeEngine.to_literal(Leaf.model_construct(size="big"), Leaf, None, subject="m")


def test_a_subclass_would_lose_its_fields() -> None:
    class Bigger(Leaf):
        more: int = 2

    with pytest.raises(ConversionError, match="what its subclass adds would be lost"):
        TypeEngine.to_literal(Bigger(), Leaf, None)


def test_what_does_not_validate_is_named() -> None:
    literal = TypeEngine.to_literal({"size": "many"}, dict, None)
    with pytest.raises(ConversionError, match=r"m: expected Leaf, got dict .*: size: Input should be a valid integer"):
        TypeEngine.to_python_value(literal, Leaf, subject="m")


def test_a_literal_without_the_class_is_guessed() -> None:
    guessed = TypeEngine.guess_python_type(TypeEngine.to_literal_type(Tree))
    found = TypeEngine.to_python_value(TypeEngine.to_literal(Tree(name="x"), Tree, None), guessed)
    assert found.name == "x"


class Shade(enum.IntEnum):
    DARK = 1


class Shaded(pydantic.BaseModel):
    shade: Shade
    ratio: float


def test_infinity_and_integer_enumerations() -> None:
    value = Shaded(shade=Shade.DARK, ratio=float("-inf"))
    assert through(value, Shaded) == value
