"""Outlines: packing decides the same with them as with the wheels."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.layers import InstallTarget, Plan, WheelFile
from imagebuilder.layers.install import install
from imagebuilder.layers.outline import Claim, Outline, divide, unpacked
from imagebuilder.layers.tar_header import Kind

if TYPE_CHECKING:
    from .conftest import MakeWheel

TARGET = InstallTarget()
ROOT = "opt/venv/lib/python3.11/site-packages"

paths = st.lists(st.text("ab-é", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)
claims = st.builds(
    lambda path, kind, mode, identity: Claim(f"opt/venv/{path}", kind, mode, identity),
    paths,
    st.sampled_from([Kind.FILE, Kind.FOLDER, Kind.LINK]),
    st.sampled_from([0o644, 0o755]),
    st.binary(min_size=16, max_size=16),
)
outlines = st.builds(
    Outline,
    st.text("abc", min_size=1, max_size=4),
    st.just("1.0"),
    st.integers(0, 1 << 24),
    st.lists(claims).map(tuple),
)


@given(outlines)
def test_an_outline_comes_back_as_it_was(outline: Outline) -> None:
    assert Outline.from_bytes(outline.to_bytes(), TARGET) == outline


def test_wheels_are_divided_as_their_outlines_are(make_wheel: MakeWheel) -> None:
    wheels = [WheelFile(make_wheel(name=name)) for name in ("a", "b", "c", "d", "e", "f", "g")]
    for budget in (1, 3, 127):
        read = [Outline.from_bytes(Outline.of(one, install(one, TARGET)).to_bytes(), TARGET) for one in wheels]
        groups = Plan.of(wheels, TARGET, budget=budget).groups
        assert divide(reversed(read), budget) == [tuple(wheel.name for wheel in group) for group in groups]


def test_files_that_collide_bring_their_wheels_together() -> None:
    big = 3 << 20

    def outline(name: str, identity: bytes) -> Outline:
        return Outline(name, "1", big, (Claim(f"{ROOT}/shared.py", Kind.FILE, 0o644, identity),))

    assert divide([outline("a", b"1"), outline("b", b"1")], 127) == [("a",), ("b",)]
    assert divide([outline("a", b"1"), outline("b", b"2")], 127) == [("a", "b")]


def _bent(**changes: object) -> bytes:
    whole = {"name": "a", "version": "1", "size": 5, "claims": [[f"{ROOT}/a.py", "FILE", 0o644, "00" * 16]]}
    return gzip.compress(json.dumps({**whole, **changes}).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        gzip.compress(b"{}"),
        gzip.compress(b"[]"),
        gzip.compress(b"null"),
        gzip.compress(b"[" * 100_000),
        gzip.compress(b"{}")[:-1],
        gzip.compress(b"{}") + b"x",
        gzip.compress(b'"\xff"'),
        _bent(size="much"),
        _bent(claims=None),
        _bent(claims=[[]]),
        _bent(claims=[["etc/passwd", "FILE", 0o644, ""]]),
        _bent(claims=[["opt/venv/../../etc", "FILE", 0o644, ""]]),
        _bent(claims=[["opt/venv/a", "SOCKET", 0o644, ""]]),
        _bent(claims=[["opt/venv/a", "FILE", 0o4000_0, ""]]),
        _bent(claims=[["opt/venv/a", "FILE", "rw", ""]]),
        _bent(claims=[["opt/venv/a", "FILE", 0o644, "xx"]]),
        _bent(claims=[[1, "FILE", 0o644, ""]]),
    ],
)
def test_what_is_no_outline(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what is wrong is told by the caller
        Outline.from_bytes(content, TARGET)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_outline_or_refused(content: bytes) -> None:
    for packed in (content, gzip.compress(content)):
        try:
            Outline.from_bytes(packed, TARGET)
        except ValueError:
            continue


def test_a_bomb_does_not_go_off() -> None:
    with pytest.raises(ValueError, match="too large"):
        unpacked(gzip.compress(b"\0" * (50 << 20)), 1 << 20)
