"""Lists of one kind at one width: the whole list is moved as bytes, never element by element.

A writer may choose any width for an integer (MessagePack specification, "int format family"), so a list whose elements
all carry the same marker is a table of fixed rows: a column of markers beside columns of bytes.
"""

from __future__ import annotations

import sys
from array import array
from struct import pack as pack_struct
from typing import Any

SHORTEST = 16
"""Lists below this length are written element by element: the smallest bytes, and fast enough."""

_WIDTHS = ((b"\xd1", "h"), (b"\xd2", "i"), (b"\xd3", "q"))
_MARKERS = {0xD1: "h", 0xD2: "i", 0xD3: "q", 0xCB: "d"}
_BOOLS = b"\xc2\xc3"
_TO_BOOLS = bytes.maketrans(b"\x00\x01", _BOOLS)
_FIXED_TEXT = [bytes((0xA0 | size,)) for size in range(32)]


def text_header(size: int) -> bytes:
    """What precedes `size` bytes of UTF-8."""
    if size < 32:
        return _FIXED_TEXT[size]
    if size < 1 << 8:
        return pack_struct(">BB", 0xD9, size)
    if size < 1 << 16:
        return pack_struct(">BH", 0xDA, size)
    return pack_struct(">BI", 0xDB, size)


def pack_run(items: list[Any]) -> bytes | None:
    """The elements of a list of one kind, without its header; None where they are of several kinds or too wide."""
    kinds = set(map(type, items))
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    if kind is int:
        return _pack_integers(items)
    if kind is float:
        return _rows(b"\xcb", array("d", items))
    if kind is bool:
        return bytes(items).translate(_TO_BOOLS)
    if kind is str:
        return _pack_texts(items)
    return None


def _pack_integers(items: list[int]) -> bytes | None:
    """At the narrowest width that holds them all; a list too wide for one usually shows it early."""
    try:
        small = bytes(items)
    except ValueError:
        small = b"\xff"
    if small.isascii():
        return small
    for marker, code in _WIDTHS:
        try:
            return _rows(marker, array(code, items))
        except OverflowError:
            continue
    return None


def _pack_texts(items: list[str]) -> bytes:
    encoded = [item.encode() for item in items]
    if max(map(len, encoded)) < 32:
        return b"".join([_FIXED_TEXT[len(item)] + item for item in encoded])
    return b"".join([text_header(len(item)) + item for item in encoded])


def _rows(marker: bytes, column: array[Any]) -> bytes:
    if sys.byteorder == "little":
        column.byteswap()
    raw, width = column.tobytes(), column.itemsize
    out = bytearray((width + 1) * len(column))
    out[0 :: width + 1] = marker * len(column)
    for place in range(width):
        out[place + 1 :: width + 1] = raw[place::width]
    return bytes(out)


def unpack_run(data: bytes, start: int, count: int) -> tuple[list[Any], int] | None:
    """The `count` elements from `start` and where they end; None where they are not rows of one width."""
    first = data[start] if start < len(data) else 0xC0
    if first < 0x80 or first in _BOOLS:
        body = data[start : start + count]
        if len(body) != count:
            return None
        if first in _BOOLS:
            return None if body.translate(None, _BOOLS) else ([byte == 0xC3 for byte in body], start + count)
        return (list(body), start + count) if body.isascii() else None
    code = _MARKERS.get(first)
    if code is None:
        return None
    column = array(code)
    width = column.itemsize
    end = start + count * (width + 1)
    if end > len(data) or data[start : end : width + 1] != bytes((first,)) * count:
        return None
    raw = bytearray(width * count)
    for place in range(width):
        raw[place::width] = data[start + place + 1 : end : width + 1]
    column.frombytes(raw)
    if sys.byteorder == "little":
        column.byteswap()
    return column.tolist(), end
