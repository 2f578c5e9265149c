"""The canonical encoding is injective: what was encoded can be read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder import Image, Secret
from imagebuilder.identity.encode import encode
from imagebuilder.spec.credential import Credential, Index
from imagebuilder.spec.layers import PipOptions, PipPackages
from imagebuilder.spec.platform import Platform

KEYS = st.text(max_size=4) | st.integers()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def decode(data: bytes) -> object:
    value, rest = _decode(data)
    assert rest == b""
    return value


def _decode(data: bytes) -> tuple[object, bytes]:
    head, _, rest = data.partition(b":")
    tag, count = head[:1], int(head[1:])
    match tag:
        case b"n":
            return None, rest
        case b"b":
            return rest[:1] == b"1", rest[1:]
        case b"i":
            return int(rest[:count]), rest[count:]
        case b"s":
            return rest[:count].decode("utf-8", "surrogatepass"), rest[count:]
        case b"l":
            items = []
            for _ in range(count):
                item, rest = _decode(rest)
                items.append(item)
            return tuple(items), rest
        case b"m":
            pairs = {}
            for _ in range(count):
                key, rest = _decode(rest)
                pairs[key], rest = _decode(rest)
            return pairs, rest
    raise AssertionError(tag)


def typed(value: object) -> object:
    """A value that differs where Python's equality would not: True is 1."""
    match value:
        case tuple():
            return tuple(map(typed, value))
        case dict():
            return {typed(key): typed(item) for key, item in value.items()}
        case _:
            return (type(value).__name__, value)


@given(VALUES)
def test_is_read_back(value):
    assert typed(decode(encode(value))) == typed(value)


@given(VALUES, VALUES)
def test_two_values_never_agree(one, other):
    assert (encode(one) == encode(other)) == (typed(one) == typed(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a",), "a"),
        ((), None),
        ("", None),
        (True, 1),
        (False, 0),
        (True, "True"),
        (1, "1"),
        ("b1:1", True),
        (("a", ("b",)), (("a",), "b")),
        (("a", ("b",)), ("a", "b")),
        ({"A": "1 B=2"}, {"A": "1", "B": "2"}),
        ({"a": "b"}, ("a", "b")),
        ("é", "e\u0301"),
        ("s1:a", "a"),
    ],
    ids=repr,
)
def test_differ(one, other):
    assert encode(one) != encode(other)


def test_the_order_of_a_mapping_does_not_count():
    assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1})


def test_a_field_at_its_default_is_left_out():
    assert encode(PipPackages(("a",))) == encode({"kind": "pip packages", "packages": ("a",)})
    assert encode(PipOptions(pre=True)) == encode({"kind": "PipOptions", "pre": True})


def test_credentials_never_enter():
    assert encode(Index("https://h", Credential("a", "b"))) == encode("https://h")
    with pytest.raises(TypeError, match="never enters"):
        encode(Credential("a", "b"))


def test_a_platform_and_a_secret():
    assert encode(Platform("linux", "arm", "v7")) == encode("linux/arm/v7")
    assert encode(Secret("key")) == encode(Secret("key", as_env_var="KEY"))
    differ = [Secret("key"), Secret("other"), Secret("key", group="g"), Secret("key", mount="/x")]
    differ.append(Secret("key", mount="/x", as_env_var="KEY"))
    assert len(set(map(encode, differ))) == len(differ)


@pytest.mark.parametrize("value", [1.5, b"x", {1, 2}, object()], ids=repr)
def test_other_types_are_a_defect(value):
    with pytest.raises(TypeError, match="no canonical encoding"):
        encode(value)


def test_an_image_is_a_value_too():
    assert encode(Image.from_base("x")) != encode(Image.from_base("y"))
