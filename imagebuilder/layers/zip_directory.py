"""The members of a zip file, with where each one's compressed bytes lie (PKWARE APPNOTE.TXT 6.3.10).

`zipfile` does not say where the data is, and believes whichever of the two headers it happens to read. Here the local
header and the central directory must agree, members must not overlap, and everything unusual is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from imagebuilder.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STORED: Final = 0
DEFLATED: Final = 8
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s2B4HL2L2H")
_LARGEST_COMMENT = 0xFFFF
_SMALL, _LARGE = 0xFFFF, 0xFFFFFFFF  # "look in the ZIP64 record"
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000  # traditional, strong, masked headers
_DESCRIPTOR = 0x0008
_PATCHED = 0x0020
_UTF8 = 0x0800
_DIRECTORY_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One member: sizes in bytes, `mode` as Unix has it (0 where the archive does not say)."""

    name: str
    method: int
    crc: int
    compressed: int
    size: int
    mode: int
    offset: int  # of the compressed bytes in the archive

    @property
    def is_folder(self) -> bool:
        """Whether it only names a folder."""
        return self.name.endswith("/")


@dataclass(frozen=True, slots=True)
class _Central:
    name: bytes
    flags: int
    method: int
    crc: int
    compressed: int
    size: int
    attributes: int
    start: int


class BadZipError(SourceError):
    """A zip file that is damaged, or made to be read in two ways; the message goes on after the file's name."""


def read_directory(read: Callable[[int, int], bytes], length: int) -> list[Member]:
    """The members in the order of the central directory; `read(offset, count)` may return fewer bytes at the end.

    Raises:
        BadZipError: anything about it is wrong or ambiguous.
    """
    start, size, count = _find_directory(read, length)
    if size > _DIRECTORY_LIMIT:
        raise BadZipError(f"its directory says to be {size} bytes long")
    entries = list(_entries(_exactly(read, start, size), count))
    members: list[Member] = []
    ranges: list[tuple[int, int, str]] = []
    for entry in entries:
        name = _decode(entry)
        _refuse_unusual(entry, name)
        offset, end = _check_local(read, entry, name, start)
        ranges.append((entry.start, end, name))
        members.append(
            Member(name, entry.method, entry.crc, entry.compressed, entry.size, entry.attributes >> 16, offset)
        )
    ranges.sort()
    for (_, end, name), (following, _, other) in pairwise(ranges):
        if following < end:
            raise BadZipError(f"its members {name!r} and {other!r} overlap")
    return members


def _find_directory(read: Callable[[int, int], bytes], length: int) -> tuple[int, int, int]:
    tail_start = max(0, length - _END.size - _LARGEST_COMMENT)
    tail = read(tail_start, length - tail_start)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise BadZipError("it is not a zip file: it has no end-of-directory record")
    _, disk, first, here, count, size, start, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise BadZipError("something follows its end-of-directory record")
    end = tail_start + at
    if (disk, first) not in ((0, 0), (_SMALL, _SMALL)) or here != count:
        raise BadZipError("it is one part of several")
    locator = read(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
    if locator[:4] == b"PK\6\7":
        _, disk, at64, disks = _LOCATOR.unpack(locator)
        record = _exactly(read, at64, _END64.size)
        signature, own, _, _, here_disk, first, here, count64, size64, start64 = _END64.unpack(record)
        if signature != b"PK\6\6" or (disk, here_disk, first) != (0, 0, 0) or disks > 1 or here != count64:
            raise BadZipError("its ZIP64 record is damaged")
        if at64 + 12 + own != end - _LOCATOR.size:
            raise BadZipError("its ZIP64 record is not where it should be")
        for narrow, wide, limit in ((count, count64, _SMALL), (size, size64, _LARGE), (start, start64, _LARGE)):
            if narrow not in (limit, wide):
                raise BadZipError("its ZIP64 record contradicts its end-of-directory record")
        count, size, start, end = count64, size64, start64, at64
    if start + size != end:
        raise BadZipError("its directory is not where it should be")
    return start, size, count


def _entries(directory: bytes, count: int) -> Iterator[_Central]:
    at = 0
    for _ in range(count):
        if len(directory) - at < _CENTRAL.size:
            raise BadZipError("its directory is cut short")
        fields = _CENTRAL.unpack_from(directory, at)
        signature, flags, method, crc, compressed, size = fields[0], *fields[5:7], *fields[9:12]
        name_length, extra_length, comment, disk, _, attributes, start = fields[12:]
        if signature != b"PK\1\2":
            raise BadZipError("its directory is damaged")
        at += _CENTRAL.size
        name = directory[at : at + name_length]
        extra = directory[at + name_length : at + name_length + extra_length]
        at += name_length + extra_length + comment
        if at > len(directory):
            raise BadZipError("its directory is cut short")
        records = _extras(extra, name)
        size, compressed, start = _widen(records.get(_ZIP64, b""), name, size, compressed, start)
        if disk not in (0, _SMALL):
            raise BadZipError("it is one part of several")
        if _UNICODE_PATH in records and records[_UNICODE_PATH][5:] != name:
            raise BadZipError(f"its member {name!r} has two names")
        yield _Central(name, flags, method, crc, compressed, size, attributes, start)
    if at != len(directory):
        raise BadZipError("its directory holds more than it counts")


def _decode(entry: _Central) -> str:
    name = entry.name
    if b"\0" in name or not name:
        raise BadZipError(f"it has a member named {name!r}")
    try:
        # Without the flag the name is in code page 437 by the format and in UTF-8 by PEP 427: only ASCII is both.
        return name.decode("utf-8" if entry.flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise BadZipError(f"its member {name!r} has a name that is not UTF-8, or is not marked as such") from None


def _refuse_unusual(entry: _Central, name: str) -> None:
    if entry.flags & _ENCRYPTED:
        raise BadZipError(f"its member {name!r} is encrypted")
    if entry.method not in (STORED, DEFLATED) or entry.flags & _PATCHED:
        raise BadZipError(f"its member {name!r} is compressed in a way (method {entry.method}) that wheels do not use")
    if entry.method == STORED and entry.size != entry.compressed:
        raise BadZipError(f"its member {name!r} is stored, and has two sizes")


def _check_local(read: Callable[[int, int], bytes], entry: _Central, name: str, limit: int) -> tuple[int, int]:
    """Compare a member's own header with the directory; returns where its data starts and where the member ends."""
    head = read(entry.start, _LOCAL.size + len(entry.name))
    if len(head) < _LOCAL.size + len(entry.name) or head[:4] != b"PK\3\4":
        raise BadZipError(f"its member {name!r} is not where the directory says")
    fields = _LOCAL.unpack_from(head)
    flags, method, crc, compressed, size, name_length, extra_length = *fields[3:5], *fields[7:]
    if name_length != len(entry.name) or head[_LOCAL.size :] != entry.name:
        raise BadZipError(f"its member {name!r} has another name in its own header")
    differing = flags ^ entry.flags
    if method != entry.method or differing & (_ENCRYPTED | _DESCRIPTOR | _UTF8):
        raise BadZipError(f"its member {name!r} is described in two ways")
    offset = entry.start + _LOCAL.size + name_length + extra_length
    end = offset + entry.compressed
    wide = False
    if extra_length:
        records = _extras(_exactly(read, offset - extra_length, extra_length), entry.name)
        wide = _ZIP64 in records
        size, compressed, _ = _widen(records.get(_ZIP64, b""), entry.name, size, compressed, 0)
        if _UNICODE_PATH in records and records[_UNICODE_PATH][5:] != entry.name:
            raise BadZipError(f"its member {name!r} has two names")
    expected = (entry.crc, entry.compressed, entry.size)
    if flags & _DESCRIPTOR:
        if any(value not in (0, right) for value, right in zip((crc, compressed, size), expected, strict=True)):
            raise BadZipError(f"its member {name!r} is described in two ways")
        end += _check_descriptor(read(end, 24), expected, name, wide=wide)
    elif (crc, compressed, size) != expected:
        raise BadZipError(f"its member {name!r} has other sizes or another checksum in its own header")
    if end > limit:
        raise BadZipError(f"its member {name!r} reaches into the directory")
    return offset, end


def _check_descriptor(found: bytes, expected: tuple[int, int, int], name: str, *, wide: bool) -> int:
    for layout in ("<L2Q", "<3L") if wide else ("<3L", "<L2Q"):
        for signature in (b"PK\7\x08", b""):
            length = len(signature) + struct.calcsize(layout)
            if all(value <= _LARGE for value in expected) or "Q" in layout:
                record = signature + struct.pack(layout, *expected)
                if found[:length] == record:
                    return length
    raise BadZipError(f"its member {name!r} has other sizes or another checksum after its data")


def _widen(record: bytes, name: bytes, size: int, compressed: int, start: int) -> tuple[int, int, int]:
    """Replace the numbers that do not fit by those of the ZIP64 record, which holds only them, in this order."""
    values = [size, compressed, start]
    at = 0
    for number, value in enumerate(values):
        if value == _LARGE:
            if len(record) < at + 8:
                raise BadZipError(f"its member {name!r} lacks its ZIP64 sizes")
            values[number] = int.from_bytes(record[at : at + 8], "little")
            at += 8
    return values[0], values[1], values[2]


def _extras(extra: bytes, name: bytes) -> dict[int, bytes]:
    records: dict[int, bytes] = {}
    at = 0
    while len(extra) - at >= 4:  # a shorter rest is padding
        kind, length = struct.unpack_from("<2H", extra, at)
        if at + 4 + length > len(extra) or (kind in records and kind in (_ZIP64, _UNICODE_PATH)):
            raise BadZipError(f"its member {name!r} has damaged extra fields")
        records[kind] = extra[at + 4 : at + 4 + length]
        at += 4 + length
    return records


def _exactly(read: Callable[[int, int], bytes], offset: int, count: int) -> bytes:
    data = read(offset, count)
    if len(data) != count:
        raise BadZipError("it is cut short")
    return data
