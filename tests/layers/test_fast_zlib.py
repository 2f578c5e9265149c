"""Both implementations of zlib, the fast one and Python's own, read and refuse the same streams."""

from __future__ import annotations

import gzip
import importlib.util
import io
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.layers import fast_zlib

if TYPE_CHECKING:
    from types import ModuleType

_CONTENT = st.one_of(st.binary(max_size=2000), st.builds(bytes.__mul__, st.binary(max_size=40), st.integers(0, 3000)))


def _plain() -> ModuleType:
    """The module as it is where ISA-L is not installed."""
    spec = importlib.util.spec_from_file_location("plain_zlib", str(fast_zlib.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "isal", None)
        spec.loader.exec_module(module)
    return module


BOTH = pytest.mark.parametrize("zlib_at_hand", [fast_zlib, _plain()], ids=["isal", "zlib"])


def test_the_fast_one_is_used_and_the_other_takes_its_place() -> None:
    assert fast_zlib.ENCODER.startswith("isal-")
    assert _plain().ENCODER.startswith("zlib-")


@BOTH
@given(_CONTENT)
def test_what_is_deflated_is_read_by_anybody(zlib_at_hand: Any, content: bytes) -> None:
    assert zlib.decompress(zlib_at_hand.deflated(content), -15) == content
    assert zlib_at_hand.crc32(content) == zlib.crc32(content)


@BOTH
@given(_CONTENT, st.integers(1, 5000), st.integers(1, 5000))
def test_streams_are_inflated_piece_by_piece(zlib_at_hand: Any, content: bytes, taken: int, room: int) -> None:
    packed = gzip.compress(content) + b"more"
    inflater, found = zlib_at_hand.inflater(31), b""
    for start in range(0, len(packed), taken):
        waiting = packed[start : start + taken]
        while waiting and not inflater.eof:
            data = inflater.decompress(waiting, room)
            assert len(data) <= room
            found += data
            waiting = inflater.unconsumed_tail
            if len(data) < room:
                break
        if inflater.eof:
            break
    assert found == content
    assert b"more".startswith(inflater.unused_data)


@BOTH
@given(_CONTENT, st.data())
def test_damaged_streams_are_refused(zlib_at_hand: Any, content: bytes, data: st.DataObject) -> None:
    packed = bytearray(gzip.compress(content))
    packed[data.draw(st.integers(len(packed) - 8, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(zlib_at_hand.ERRORS):
        zlib_at_hand.inflater(31).decompress(bytes(packed))


@BOTH
@given(st.lists(_CONTENT, min_size=1, max_size=5))
def test_gzip_files_may_have_many_members(zlib_at_hand: Any, contents: list[bytes]) -> None:
    packed = io.BytesIO(b"".join(map(gzip.compress, contents)))
    assert zlib_at_hand.open_gzip(packed).read() == b"".join(contents)
