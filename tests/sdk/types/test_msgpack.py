"""Our MessagePack against the reference implementation, both ways."""

from __future__ import annotations

import enum
import math
from datetime import datetime, timezone

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tasksdk.types.msgpack import pack, unpack

from .samples import steady

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**63), 2**64 - 1)
LEAVES = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | TEXT | st.binary()
KEYS = TEXT | INTEGERS | st.booleans() | st.binary()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=40)
RUNS = st.one_of(
    *(
        st.lists(kind, min_size=10, max_size=80)
        for kind in (
            st.integers(0, 127),
            st.integers(0, 255),
            st.integers(-(2**15), 2**15 - 1),
            st.integers(-(2**31), 2**31 - 1),
            st.integers(-(2**63), 2**63 - 1),
            INTEGERS,
            st.floats(allow_nan=False),
            st.booleans(),
            TEXT,
        )
    )
)


@steady
@given(VALUES | RUNS)
@example([2**15] * 16)
@example([-1] * 16)
@example([True, False] * 8)
@example([""] * 16)
def test_the_reference_reads_what_we_write_and_so_do_we(value: object) -> None:
    packed = pack(value)
    assert_same(msgpack.unpackb(packed, strict_map_key=False), value)
    assert_same(unpack(packed), value)


@steady
@given(VALUES | RUNS)
def test_we_read_what_the_reference_writes(value: object) -> None:
    assert_same(unpack(msgpack.packb(value)), value)


@steady
@given(LEAVES | st.lists(INTEGERS, max_size=15))
def test_short_values_are_the_very_bytes_of_the_reference(value: object) -> None:
    assert pack(value) == msgpack.packb(value)


@pytest.mark.parametrize("size", [0, 15, 16, 31, 32, 255, 256, 65535, 65536])
def test_every_length_of_every_container(size: int) -> None:
    for value in ("x" * size, b"x" * size, [None] * size, dict.fromkeys(range(size)), ["é" * 20] * min(size, 300)):
        assert unpack(pack(value)) == value == msgpack.unpackb(pack(value), strict_map_key=False)


@steady
@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    try:
        value = unpack(data)
    except ValueError:
        return
    assert isinstance(value, datetime) or pack(value)


@steady
@given(VALUES | RUNS, st.data())
def test_a_cut_off_value_is_an_error(value: object, data: st.DataObject) -> None:
    packed = pack(value)
    short = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with pytest.raises(ValueError, match="MessagePack"):
        unpack(short)


def test_surplus_bytes_are_an_error() -> None:
    with pytest.raises(ValueError, match="1 surplus bytes follow"):
        unpack(pack(1) + b"\x00")


def test_not_a_number_survives() -> None:
    assert math.isnan(unpack(pack(math.nan)))
    assert all(map(math.isnan, unpack(pack([math.nan] * 100))))


def test_subclasses_are_written_as_what_they_extend() -> None:
    class Colour(str, enum.Enum):
        RED = "red"

    class Loud(dict[str, int]):
        def items(self) -> None:  # type: ignore[override]
            raise AssertionError

    assert unpack(pack([Colour.RED, enum.IntEnum("Number", {"ONE": 1}).ONE, Loud(a=1), bytearray(b"x")])) == [
        "red",
        1,
        {"a": 1},
        b"x",
    ]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**64, "does not fit into 64 bits"),
        (-(2**63) - 1, "does not fit into 64 bits"),
        pytest.param(10**5000, "integer of 16610 bits", id="huge"),
        ({1, 2}, "no form for set"),
        pytest.param("\ud800", "surrogates not allowed", id="surrogate"),
    ],
)
def test_what_has_no_form_is_refused(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pack(value)
    with pytest.raises(ValueError, match=why):
        pack([value] * 20)


def test_a_value_inside_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="contains itself"):
        pack(value)
    with pytest.raises(ValueError, match="nested too deeply"):
        unpack(b"\x91" * 100_000 + b"\xc0")


def test_a_list_that_claims_to_be_huge_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="ends inside a list of 4294967295"):
        unpack(b"\xdd\xff\xff\xff\xff\x01")


@steady
@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_timestamps_are_read(moment: datetime) -> None:
    assert unpack(msgpack.packb(moment, datetime=True)) == moment


def test_other_extensions_are_refused() -> None:
    with pytest.raises(ValueError, match="extension 5 of 2 bytes is unknown"):
        unpack(msgpack.packb(msgpack.ExtType(5, b"ab")))


def test_lists_are_tuples_where_they_are_keys() -> None:
    assert unpack(pack({(1, (2, "a")): 3})) == {(1, (2, "a")): 3}


def assert_same(found: object, wanted: object) -> None:
    """Equal, and of equal types all the way down: 1, 1.0 and True are different values."""
    assert type(found) is type(wanted)
    if isinstance(wanted, list):
        assert isinstance(found, list)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, dict):
        assert isinstance(found, dict)
        assert_same(list(found), list(wanted))
        assert_same(list(found.values()), list(wanted.values()))
    else:
        assert found == wanted
