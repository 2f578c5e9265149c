"""The wire form of plain values, without the protobuf library.

Importing the messages takes longer than everything else an executor does before it calls the user's function, and most
tasks pass numbers, texts and flags. This module reads and writes exactly these; whatever else there is goes through
the messages. Field numbers are those of flyteidl2/core/literals.proto and flyteidl2/task/common.proto; the encoding is
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LENGTH, _FIXED64, _FIXED32, _VARINT = 2, 1, 5, 0
_INT64 = 1 << 63


class WireError(ValueError):
    """Bytes that are not a message of this form."""


class _Complex:
    def __repr__(self) -> str:
        return "COMPLEX"


COMPLEX: Final = _Complex()
NONE: Final = b"\n\x02*\x00"  # Literal{scalar{none_type{}}}


def plain(value: object) -> bytes | None:
    """A serialized `Literal` of a plain value; None where the value is not plain."""
    kind = type(value)
    if kind is int:
        if not -_INT64 <= value < _INT64:  # type: ignore[operator] # the type was compared
            return None
        body = b"\x08" + _varint(value & 0xFFFFFFFFFFFFFFFF)  # type: ignore[operator] # as above
    elif kind is str:
        try:
            text = value.encode()  # type: ignore[attr-defined] # as above
        except UnicodeEncodeError:
            return None
        body = b"\x1a" + _varint(len(text)) + text
    elif kind is float:
        body = b"\x11" + struct.pack("<d", value)
    elif kind is bool:
        body = b"\x20\x01" if value else b"\x20\x00"
    elif value is None:
        return NONE
    else:
        return None
    primitive = b"\n" + _varint(len(body)) + body
    return b"\n" + _varint(len(primitive)) + primitive


def read_plain(literal: bytes) -> Any:  # noqa: PLR0911 - one line per kind of value
    """The value of a serialized `Literal` that holds a plain one and nothing else; `COMPLEX` for any other."""
    scalar = _only(literal, 1)
    if scalar is None:
        return COMPLEX
    if scalar == b"*\x00":
        return None
    primitive = _only(scalar, 1)
    if not primitive:
        return COMPLEX
    fields = list(_fields(primitive))
    if len(fields) != 1:
        return COMPLEX
    number, kind, value = fields[0]
    if number == 1 and kind == _VARINT:
        return value - (1 << 64) if value >= _INT64 else value
    if number == 2 and kind == _FIXED64:
        return struct.unpack("<d", value)[0]
    if number == 3 and kind == _LENGTH:
        return str(value, "utf-8")
    if number == 4 and kind == _VARINT:
        return bool(value)
    return COMPLEX


def write_map(literals: Mapping[str, bytes]) -> bytes:
    """A serialized `Inputs`, `Outputs` or `LiteralMap` of serialized literals: the three share a form."""
    parts: list[bytes] = []
    for name, literal in literals.items():
        key = name.encode()
        entry = b"\n" + _varint(len(key)) + key + b"\x12" + _varint(len(literal)) + literal
        parts += (b"\n", _varint(len(entry)), entry)
    return b"".join(parts)


def read_map(data: bytes) -> dict[str, bytes]:
    """The serialized literals of a serialized `Inputs`, `Outputs` or `LiteralMap`, by their names.

    Raises:
        WireError: the bytes are no such message.
    """
    found = {}
    for number, kind, entry in _fields(data):
        if number != 1:
            continue
        if kind != _LENGTH:
            raise WireError("not a map of literals")
        name, literal = "", b""
        for part, part_kind, value in _fields(entry):
            if part in (1, 2) and part_kind != _LENGTH:
                raise WireError("not a map of literals")
            if part == 1:
                name = str(value, "utf-8")
            elif part == 2:
                # A field that stands twice is merged: https://protobuf.dev/programming-guides/encoding/#last-one-wins
                literal += value
        found[name] = literal
    return found


def _only(message: bytes, number: int) -> bytes | None:
    """The bytes of the message's field, where it has that one alone."""
    fields = list(_fields(message))
    if len(fields) == 1 and fields[0][0] == number and fields[0][1] == _LENGTH:
        return bytes(fields[0][2])
    return None


def _fields(message: bytes) -> Iterator[tuple[int, int, Any]]:
    at, end = 0, len(message)
    while at < end:
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield number, kind, value
            continue
        if kind == _LENGTH:
            length, at = _read_varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise WireError(f"unknown wire type {kind}")
        if at + length > end or number == 0:
            raise WireError("the message is cut off")
        yield number, kind, message[at : at + length]
        at += length


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise WireError("the message is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
