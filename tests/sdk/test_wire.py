"""The wire form of plain values is that of the messages."""

from __future__ import annotations

import pytest
from flyteidl2.core.literals_pb2 import Literal, LiteralCollection, LiteralMap, Primitive, Scalar, Void
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral, Outputs
from hypothesis import given
from hypothesis import strategies as st
from tasksdk.wire import COMPLEX, WireError, plain, read_map, read_plain, write_map

INTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.one_of(INTS, TEXTS, st.booleans(), st.floats(allow_nan=False), st.none())


def message_of(value: object) -> Literal:
    match value:
        case None:
            return Literal(scalar=Scalar(none_type=Void()))
        case bool():
            primitive = Primitive(boolean=value)
        case int():
            primitive = Primitive(integer=value)
        case float():
            primitive = Primitive(float_value=value)
        case _:
            primitive = Primitive(string_value=str(value))
    return Literal(scalar=Scalar(primitive=primitive))


@given(PLAIN)
def test_a_plain_value_is_written_as_the_message_is(value: object) -> None:
    expected = message_of(value).SerializeToString(deterministic=True)
    assert plain(value) == expected
    read = read_plain(expected)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "\ud800", b"bytes", [1], {"a": 1}, object()])
def test_what_is_not_plain_is_left_to_the_messages(value: object) -> None:
    assert plain(value) is None


@given(st.dictionaries(TEXTS, PLAIN))
def test_one_map_is_inputs_outputs_and_a_literal_map(values: dict[str, object]) -> None:
    written = write_map({name: plain(value) or b"" for name, value in values.items()})
    named = [NamedLiteral(name=name, value=message_of(value)) for name, value in values.items()]
    assert Inputs.FromString(written).literals == Inputs(literals=named).literals
    assert Outputs.FromString(written).literals == Outputs(literals=named).literals
    assert dict(LiteralMap.FromString(written).literals) == {name: message_of(value) for name, value in values.items()}
    for form in (
        Inputs(literals=named),
        LiteralMap(literals={name: message_of(value) for name, value in values.items()}),
    ):
        read = {name: read_plain(literal) for name, literal in read_map(form.SerializeToString()).items()}
        assert read == values


@pytest.mark.parametrize(
    "literal",
    [
        Literal(),
        Literal(collection=LiteralCollection(literals=[message_of(1)])),
        Literal(map=LiteralMap()),
        Literal(scalar=Scalar(primitive=Primitive(integer=1)), hash="x"),
        Literal(scalar=Scalar(primitive=Primitive())),
    ],
)
def test_any_other_literal_is_complex(literal: Literal) -> None:
    assert read_plain(literal.SerializeToString()) is COMPLEX


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read_map(data)
    except (WireError, UnicodeDecodeError):
        return


@pytest.mark.parametrize("data", [b"\n", b"\n\x05a", b"\x0f", b"\x80", b"\n\x02\x08\x01"])
def test_a_cut_message_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        read_map(data)
