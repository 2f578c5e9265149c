"""From plain values to MessagePack."""

from __future__ import annotations

from struct import Struct
from typing import Any

from tasksdk.types.msgpack.runs import SHORTEST, pack_run, text_header

_FLOAT = Struct(">Bd").pack
_BYTE = Struct(">BB").pack
_SHORT = Struct(">BH").pack
_WORD = Struct(">BI").pack
_POSITIVE = tuple(
    (marker, 0, 1 << bits, Struct(f">B{code}").pack)
    for marker, bits, code in ((0xCC, 8, "B"), (0xCD, 16, "H"), (0xCE, 32, "I"), (0xCF, 64, "Q"))
)
_NEGATIVE = tuple(
    (marker, -(1 << bits), 0, Struct(f">B{code}").pack)
    for marker, bits, code in ((0xD0, 7, "b"), (0xD1, 15, "h"), (0xD2, 31, "i"), (0xD3, 63, "q"))
)
_SMALL = [bytes((number,)) for number in range(128)]


def pack(value: object) -> bytes:
    """The bytes of a plain value: None, bool, int, float, str, bytes, and lists, tuples and dicts of them.

    Raises:
        ValueError: a value has no MessagePack form: another type, an integer beyond 64 bits, a lone surrogate in text,
            or nesting too deep to follow.
    """
    out: list[bytes] = []
    try:
        _pack(value, out)
    except RecursionError:
        raise ValueError("a value contains itself, or is nested too deeply for MessagePack") from None
    return b"".join(out)


def _pack(value: Any, out: list[bytes]) -> None:
    kind = type(value)
    if kind is str:
        text = value.encode()
        out.append(text_header(len(text)) + text)
    elif kind is int:
        out.append(_integer(value))
    elif value is None:
        out.append(b"\xc0")
    elif kind is bool:
        out.append(b"\xc3" if value else b"\xc2")
    elif kind is float:
        out.append(_FLOAT(0xCB, value))
    elif kind is list or kind is tuple:
        _pack_list(value, out)
    elif kind is dict:
        out.append(_header(len(value), 0x80, 0xDE))
        for key, item in value.items():
            _pack(key, out)
            _pack(item, out)
    elif kind is bytes:
        out.append(_bytes_header(len(value)))
        out.append(value)
    else:
        _pack(_as_plain(value), out)


def _pack_list(items: Any, out: list[bytes]) -> None:
    out.append(_header(len(items), 0x90, 0xDC))
    run = pack_run(items) if len(items) >= SHORTEST else None
    if run is not None:
        out.append(run)
        return
    for item in items:
        _pack(item, out)


def _as_plain(value: object) -> object:
    """A value of a subclass as the plain type it extends."""
    if isinstance(value, (int, float, str, list, tuple, dict)):
        return _rebuilt(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise ValueError(f"MessagePack has no form for {type(value).__qualname__} {value!r:.80}")


def _rebuilt(value: Any) -> object:
    """By the methods of the plain type: a subclass such as an enumeration may print and iterate in its own way."""
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list):
        return [*list.__iter__(value)]
    if isinstance(value, tuple):
        return (*tuple.__iter__(value),)
    return dict(dict.items(value))


def _integer(value: int) -> bytes:
    if 0 <= value < 128:
        return _SMALL[value]
    if -32 <= value < 0:
        return bytes((value + 256,))
    for marker, least, bound, packer in _POSITIVE if value > 0 else _NEGATIVE:
        if least <= value < bound:
            return packer(marker, value)
    raise ValueError(f"the integer {_shortened(value)} does not fit into 64 bits")


def _shortened(value: int) -> str:
    # str() of a huge integer is an error of its own since Python 3.11.
    return str(value) if value.bit_length() < 256 else f"of {value.bit_length()} bits"


def _header(size: int, fixed: int, marker: int) -> bytes:
    if size < 16:
        return bytes((fixed | size,))
    return _SHORT(marker, size) if size < 1 << 16 else _WORD(marker + 1, size)


def _bytes_header(size: int) -> bytes:
    if size < 1 << 8:
        return _BYTE(0xC4, size)
    return _SHORT(0xC5, size) if size < 1 << 16 else _WORD(0xC6, size)
