"""From MessagePack to plain values."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from tasksdk.types.msgpack.runs import SHORTEST, unpack_run

if TYPE_CHECKING:
    from datetime import datetime

_NUMBERS = {
    marker: Struct(f">{code}")
    for marker, code in {
        0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q", 0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q",
    }.items()
}  # fmt: skip
_SIZES = {
    marker: Struct(f">{code}")
    for marker, code in {
        0xC4: "B", 0xC5: "H", 0xC6: "I", 0xC7: "B", 0xC8: "H", 0xC9: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I",
        0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I",
    }.items()
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_TIMESTAMP = -1
"""The one extension the specification defines ("Timestamp extension type")."""


def unpack(data: bytes) -> Any:
    """The value that `data` holds; arrays are lists, and tuples where they are keys of a map.

    Raises:
        ValueError: the bytes are not one whole MessagePack value.
    """
    try:
        value, end = _unpack(data, 0)
    except RecursionError:
        raise ValueError("MessagePack nested too deeply") from None
    except OverflowError:
        raise ValueError("a MessagePack timestamp is out of range") from None
    if end != len(data):
        raise ValueError(f"{len(data) - end} surplus bytes follow the MessagePack value")
    return value


def _unpack(data: bytes, at: int) -> tuple[Any, int]:  # noqa: PLR0911 - one line per family of markers
    marker = _slice(data, at, 1)[0]
    at += 1
    if marker < 0x80:
        return marker, at
    if marker >= 0xE0:
        return marker - 256, at
    if marker < 0x90:
        return _map(data, at, marker & 0x0F)
    if marker < 0xA0:
        return _array(data, at, marker & 0x0F)
    if marker < 0xC0:
        return _text(data, at, marker & 0x1F)
    if marker in _CONSTANTS:
        return _CONSTANTS[marker], at
    if number := _NUMBERS.get(marker):
        return number.unpack(_slice(data, at, number.size))[0], at + number.size
    if 0xD4 <= marker <= 0xD8:
        return _extension(data, at, 1 << (marker - 0xD4))
    if sized := _SIZES.get(marker):
        size = sized.unpack(_slice(data, at, sized.size))[0]
        return _sized(data, at + sized.size, marker, size)
    raise ValueError(f"byte {at - 1} is 0x{marker:02x}, which starts no MessagePack value")


def _sized(data: bytes, at: int, marker: int, size: int) -> tuple[Any, int]:
    if marker >= 0xDE:
        return _map(data, at, size)
    if marker >= 0xDC:
        return _array(data, at, size)
    if marker >= 0xD9:
        return _text(data, at, size)
    if marker >= 0xC7:
        return _extension(data, at, size)
    return _slice(data, at, size), at + size


def _array(data: bytes, at: int, size: int) -> tuple[list[Any], int]:
    if size > len(data) - at:
        raise ValueError(f"MessagePack ends inside a list of {size}")
    if size >= SHORTEST and (run := unpack_run(data, at, size)):
        return run
    items = []
    for _ in range(size):
        # Texts are the other common run; one marker byte tells a short one.
        marker = data[at] if at < len(data) else 0
        if 0xA0 <= marker < 0xC0:
            item, at = _text(data, at + 1, marker & 0x1F)
        else:
            item, at = _unpack(data, at)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, size: int) -> tuple[dict[Any, Any], int]:
    found = {}
    for _ in range(size):
        key, at = _unpack(data, at)
        item, at = _unpack(data, at)
        try:
            found[key] = item
        except TypeError:
            found[_hashable(key)] = item
    return found, at


def _hashable(key: Any) -> Any:
    if isinstance(key, list):
        return tuple(map(_hashable, key))
    if isinstance(key, dict):
        raise ValueError("a map cannot be a key of a map")  # noqa: TRY004 - bad data, not a wrong argument
    return key


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    return _slice(data, at, size).decode(), at + size


def _slice(data: bytes, at: int, size: int) -> bytes:
    part = data[at : at + size]
    if len(part) != size:
        raise ValueError(f"MessagePack ends at byte {len(data)}, {size - len(part)} bytes too early")
    return part


def _extension(data: bytes, at: int, size: int) -> tuple[datetime, int]:
    kind = _slice(data, at, 1)[0]
    body = _slice(data, at + 1, size)
    if kind != _TIMESTAMP % 256 or size not in (4, 8, 12):
        raise ValueError(f"MessagePack extension {kind} of {size} bytes is unknown")
    from datetime import datetime, timedelta, timezone

    if size == 12:
        nanoseconds, seconds = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:], "big", signed=True)
    elif size == 8:
        nanoseconds, seconds = divmod(int.from_bytes(body, "big"), 1 << 34)
    else:
        nanoseconds, seconds = 0, int.from_bytes(body, "big")
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return epoch + timedelta(seconds=seconds, microseconds=nanoseconds // 1000), at + 1 + size
