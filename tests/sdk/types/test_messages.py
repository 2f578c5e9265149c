"""What is said when a value or a literal does not fit, and how variants of a union are chosen."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Any, Literal, Union

import pytest
from flyteidl2.core.literals_pb2 import Literal as LiteralMessage
from flyteidl2.core.literals_pb2 import LiteralMap, Primitive, Scalar
from flyteidl2.core.types_pb2 import LiteralType, SimpleType
from tasksdk import ActionID, Context, ContextData, TaskContext
from tasksdk.errors import ConversionError, TaskDefinitionError, TaskInputError
from tasksdk.types import RawData, TypeEngine

from .samples import Box, Colour, Everything, Node, Options, Pair, Point


class Unknown: ...


@dataclass
class Outer:
    points: list[Point]
    boxes: dict[str, Box[int]]
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class FarPoint(Point):
    z: float = 0.0


REFUSED = [
    ("a", int, "p: expected int, got str 'a'"),
    (True, int, "p: expected int, got bool True"),
    (1, bool, "p: expected bool, got int 1"),
    (1.5, int, "p: expected int, got float 1.5"),
    (2**63, int, "p: expected int, got int 9223372036854775808: an integer literal holds 64 bits"),
    (2**53 + 1, float, "p: expected float, got int 9007199254740993: no float holds this integer exactly"),
    (None, str, "p: expected str, got None"),
    (b"x", str, "p: expected str, got bytes b'x'"),
    ("x", bytes, "p: expected bytes, got str 'x'"),
    ("\ud800", str, "p: expected str, got str '\\ud800': it is not text that UTF-8 can hold (surrogates not allowed)"),
    (1, None, "p: expected None, got int 1"),
    ([1, "b"], list[int], "p[1]: expected int, got str 'b'"),
    ((1,), list[int], "p: expected list[int], got tuple (1,)"),
    ([[1], [2, None]], list[list[int]], "p[1][1]: expected int, got None"),
    ([*range(300), "x"], list[int], "p[300]: expected int, got str 'x'"),
    ({"a": {"b": "x"}}, dict[str, dict[str, int]], "p['a']['b']: expected int, got str 'x'"),
    ({1: 2}, dict[str, int], "p[1]: expected str, got int 1"),
    ([], dict, "p: expected dict, got list []"),
    ((1,), tuple[int, str], "p: expected tuple[int, str], got tuple (1,): it has 1 items instead of 2"),
    ((1, 2), tuple[int, str], "p.item_1: expected str, got int 2"),
    ("RED", Colour, "p: expected Colour, got str 'RED': its members are RED, GREEN\n  write Colour.RED"),
    ("c", Literal["a", "b"], "p: expected Literal['a', 'b'], got str 'c'"),
    (True, Literal[1, 2], "p: expected Literal[1, 2], got bool True"),
    ({"depht": 1}, Options, "p: expected Options, got dict {'depht': 1}: it has no key 'depht'"),
    (Pair("x"), Pair, "p.left: expected int, got str 'x'"),
    (Outer([Point("x")], {}), Outer, "p.points[0].x: expected float, got str 'x'"),
    (Outer([], {"k": Box("x")}), Outer, "p.boxes['k'].content: expected int, got str 'x'"),
    (FarPoint(), Point, "p: expected Point, got FarPoint(x=0.0, y=0.0, z=0.0): what its subclass adds would be lost"),
    (3, Node, "p: expected Node, got int 3"),
    ("x", int | None, "p: expected int | None, got str 'x'"),
    (
        [1, "x"],
        list[int] | list[str],
        "p: expected list[int] | list[str], got list [1, 'x']: [1] expected int, got str 'x'",
    ),
    ("x" * 500, int, f"p: expected int, got str {'x' * 80!r}..."),
    ([0] * 500, int, "p: expected int, got list of 500 items"),
    (lambda: 1, Any, "cannot be pickled"),
]


@pytest.mark.parametrize(("value", "hint", "message"), REFUSED)
def test_a_value_that_does_not_fit(value: Any, hint: Any, message: str) -> None:
    with pytest.raises(ConversionError) as info:
        TypeEngine.to_literal(value, hint, None, subject="p")
    assert message in str(info.value)
    assert isinstance(info.value, TypeError)
    assert isinstance(info.value, ValueError)


def literal_of(value: Any, hint: Any = Any) -> LiteralMessage:
    literal: LiteralMessage = TypeEngine.to_literal(value, hint, None)
    return literal


@pytest.mark.parametrize(
    ("literal", "hint", "message"),
    [
        (literal_of("a"), int, "p: expected int, got a primitive string_value 'a'"),
        (literal_of(1.5), int, "p: expected int, got a primitive float_value 1.5"),
        (literal_of(None), int, "p: expected int, got a none_type scalar"),
        (literal_of([1]), int, "p: expected int, got list [1]"),
        (
            literal_of({"a": "x"}, dict[str, str]),
            dict[str, int],
            "p['a']: expected int, got a primitive string_value 'x'",
        ),
        (literal_of(1), list[int], "p: expected list[int], got a primitive integer 1"),
        (LiteralMessage(), int, "p: expected int, got a literal without a value"),
        (literal_of({"x": "y"}, dict), Point, "p.x: expected float, got str 'y'"),
        (literal_of({}, dict), Node, "p: expected Node, got dict {}: it lacks value"),
        (literal_of("PINK"), Colour, "p: expected Colour, got str 'PINK': its members are RED, GREEN"),
        (literal_of("x"), int | float, "p: expected int | float, got a primitive string_value 'x'"),
    ],
)
def test_a_literal_that_does_not_fit(literal: LiteralMessage, hint: Any, message: str) -> None:
    with pytest.raises(ConversionError) as info:
        TypeEngine.to_python_value(literal, hint, subject="p")
    assert message in str(info.value)


def test_damaged_messagepack_is_named() -> None:
    literal = literal_of([1, 2])
    literal.scalar.binary.value = literal.scalar.binary.value[:-1]
    with pytest.raises(ConversionError, match=r"expected list\[int\], got damaged MessagePack"):
        TypeEngine.to_python_value(literal, list[int])


@dataclass
class Unresolved:
    field: Missing  # type: ignore[name-defined] # noqa: F821 - the point


@dataclass
class NeedsMore:
    seed: InitVar[int]


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        ("int", "the type 'int' is a name that could not be resolved"),
        (Unresolved, "a field of Unresolved has a type that cannot be resolved: name 'Missing' is not defined"),
        (list[Unresolved], "a field of Unresolved"),
        (NeedsMore, "NeedsMore.seed is an InitVar without a default"),
    ],
)
def test_a_type_that_cannot_be_used(hint: Any, message: str) -> None:
    with pytest.raises(TaskDefinitionError, match=message):
        TypeEngine.to_literal_type(hint)


def test_the_literal_type_that_a_caller_expects_is_checked() -> None:
    expected = LiteralType(simple=SimpleType.STRING)
    with pytest.raises(ConversionError, match="p: the type int is INTEGER, where STRING is expected"):
        TypeEngine.to_literal(3, int, expected, subject="p")
    TypeEngine.to_literal(3, int, TypeEngine.to_literal_type(int | None))
    TypeEngine.to_literal([Point()], list[Point], TypeEngine.to_literal_type(list[Point]))
    with pytest.raises(ConversionError, match=r"list\[int\] is a collection of INTEGER, where a map of INTEGER is"):
        TypeEngine.to_literal([3], list[int], TypeEngine.to_literal_type(dict[str, int]))


@pytest.mark.parametrize(
    ("value", "hint", "tag"),
    [
        (True, int | bool, "bool"),
        (1, bool | int, "int"),
        (1, float | int, "int"),
        (1, float | str, "float"),
        (Colour.RED, str | Colour, "DefaultEnumTransformer"),
        ([], list[str] | list[int], "Typed List:list[str]"),
        ([1], list[str] | list[int], "Typed List:list[int]"),
        (FarPoint(), Point | FarPoint, "Object-Dataclass-Transformer:FarPoint"),
        ("a", str | Literal["a"], "str"),  # noqa: PYI051 - the point
        ({}, dict[str, int] | Options, "Typed Dict"),
        (1j, Union[int, Any], "Any"),  # noqa: UP007 - Any is no class in Python 3.10
        (3, int | None, "int"),
    ],
)
def test_the_variant_that_fits_best(value: Any, hint: Any, tag: str) -> None:
    literal = TypeEngine.to_literal(value, hint, None)
    assert literal.scalar.union.type.structure.tag == tag
    assert TypeEngine.to_python_value(literal, hint) == value


@dataclass
class Cat:
    name: str


@dataclass
class Dog:
    name: str


def test_variants_of_one_shape_are_told_apart_by_their_class() -> None:
    for pet in (Cat("a"), Dog("a")):
        assert TypeEngine.to_python_value(TypeEngine.to_literal(pet, Cat | Dog, None), Cat | Dog) == pet
        held = Box(pet)
        hint = Box[Cat | Dog]
        assert TypeEngine.to_python_value(TypeEngine.to_literal(held, hint, None), hint) == held


def test_a_literal_that_several_variants_read_is_ambiguous() -> None:
    with pytest.raises(ConversionError, match=r"expected Cat \| Dog, got .* ambiguous: Cat and Dog can be read of it"):
        TypeEngine.to_python_value(literal_of({"name": "a"}, dict), Cat | Dog)


def test_a_literal_without_a_union_is_read_by_the_variant_that_can() -> None:
    assert TypeEngine.to_python_value(literal_of(3), int | None) == 3
    assert TypeEngine.to_python_value(literal_of(None), int | None) is None
    assert TypeEngine.to_python_value(literal_of("r"), int | str) == "r"


def test_names_are_in_the_messages_of_whole_maps() -> None:
    types = {"count": int, "points": list[Point]}
    literals = TypeEngine.dict_to_literal_map({"count": 3, "points": [Point(1.0)]}, types)
    assert TypeEngine.literal_map_to_kwargs(literals, types) == {"count": 3, "points": [Point(1.0)]}
    with pytest.raises(ConversionError, match=r"^points\[0\]: expected Point, got int 3$"):
        TypeEngine.dict_to_literal_map({"points": [3]}, types)
    with pytest.raises(TaskInputError, match="there is no parameter extra; there are count, points"):
        TypeEngine.literal_map_to_kwargs(LiteralMap(literals={"extra": literal_of(1)}), types)


def test_both_spellings_of_a_call() -> None:
    expected = TypeEngine.to_literal_type(int)
    calls: list[Any] = [
        TypeEngine.to_literal(3, int, expected),
        TypeEngine.to_literal(None, 3, int, expected),
        TypeEngine.to_literal(3, int),
        TypeEngine.to_literal(python_val=3, python_type=int, expected=expected),
        TypeEngine.to_literal(ctx=None, python_val=3, python_type=int, expected=expected),
        TypeEngine.to_literal("/raw", 3, python_type=int, literal_type=expected),
    ]
    assert calls == [LiteralMessage(scalar=Scalar(primitive=Primitive(integer=3)))] * 6
    assert TypeEngine.to_python_value(lv=calls[0], expected_python_type=int) == 3
    assert TypeEngine.to_python_value("/raw", calls[0], int) == 3
    with pytest.raises(TypeError, match=r"to_literal takes \(value, python_type, literal_type\)"):
        TypeEngine.to_literal(3)


def test_the_schema_of_a_dataclass() -> None:
    found = TypeEngine.to_literal_type(Node)
    assert found.simple == SimpleType.STRUCT
    assert found.structure.tag == "Object-Dataclass-Transformer"
    assert found.metadata["title"] == "Node"
    assert list(found.metadata["required"]) == ["value"]
    assert found.metadata["properties"]["children"]["items"]["$ref"] == "#/$defs/Node"
    assert found.metadata["$defs"]["Node"]["properties"]["value"]["type"] == "integer"
    whole = TypeEngine.to_literal_type(Everything).metadata["properties"]
    assert list(whole["colour"]["enum"]) == ["r", "g"]
    assert whole["derived"]["default"] == 3
    assert whole["moment"]["format"] == "date-time"


@pytest.mark.parametrize("hint", [int, str, list[int], dict[str, float], bool | None, type(None), bytes, dict, Any])
def test_a_literal_type_is_guessed(hint: Any) -> None:
    assert TypeEngine.guess_python_type(TypeEngine.to_literal_type(hint)) == hint


def test_a_class_is_made_of_a_schema() -> None:
    guessed = TypeEngine.guess_python_type(TypeEngine.to_literal_type(Outer))
    literal = TypeEngine.to_literal(Outer([Point(1.0)], {"a": Box(3, [4])}), Outer, None)
    found = TypeEngine.to_python_value(literal, guessed)
    assert (found.points[0].x, found.boxes["a"].spares, found.colour) == (1.0, [4], "r")
    assert [member.name for member in TypeEngine.guess_python_type(TypeEngine.to_literal_type(Colour))] == [
        "RED",
        "GREEN",
    ]
    with pytest.raises(ConversionError, match="no Python type stands for no type"):
        TypeEngine.guess_python_type(LiteralType())


class Carrier:
    def __init__(self, folder: Path) -> None:
        self.raw_data_path = RawData(folder)


def test_three_arguments_are_told_apart(tmp_path: Path) -> None:
    kind = TypeEngine.to_literal_type(bytes)
    expected = TypeEngine.to_literal(b"x", bytes)
    inside = Context(ContextData(TaskContext(action=ActionID("a", "r"), raw_data=str(tmp_path))))
    for carrier in (RawData(tmp_path), Carrier(tmp_path), inside, inside.data.task_context, str(tmp_path)):
        assert TypeEngine.to_literal(carrier, b"x", bytes) == expected
        assert TypeEngine.to_literal(carrier, b"x", bytes, kind) == expected
        assert TypeEngine.to_literal(carrier, None, type(None)) == TypeEngine.to_literal(None, None, None)
        assert TypeEngine.to_python_value(carrier, expected, bytes) == b"x"
    assert TypeEngine.to_literal(b"x", bytes, kind) == TypeEngine.to_literal(b"x", bytes, None) == expected
    path = TypeEngine.to_literal(inside, Unknown(), Unknown).scalar.blob.uri
    assert Path(path).is_relative_to(tmp_path)
