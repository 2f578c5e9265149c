"""Rewrites the times in a tar stream without unpacking it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 512
_CHUNK = 1 << 20
_MTIME = slice(136, 148)
_CHECKSUM = slice(148, 156)
_SIZE = slice(124, 136)
_KIND = slice(156, 157)
# Entries that have no content, whatever size their header says (POSIX ustar: links, devices, folders, FIFOs).
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")
_SPARSE_MORE, _SPARSE_MORE_AGAIN = 482, 504  # where GNU's old sparse format says that a map block follows
_TIMES = (b"mtime", b"atime", b"ctime")


class NotATarError(ValueError):
    """The stream is not a tar archive."""


def clamp_times(source: BinaryIO, latest: int) -> Iterator[tuple[bytes, int]]:
    """Yield a tar stream in pieces, each with how many times in it were later than `latest` and set to it.

    Headers are patched in place (POSIX ustar: octal mtime at offset 136, checksum at 148), contents pass through.
    """
    zeros = 0
    pax_size: int | None = None  # what an extended header says of the next entry's size
    while header := _read(source, _BLOCK):
        if len(header) < _BLOCK:
            raise NotATarError("a tar header is cut short")
        if not header.strip(b"\0"):
            yield header, 0
            zeros += 1
            if zeros == 2:  # the end of the archive; what follows is padding
                yield from ((piece, 0) for piece in iter(lambda: source.read(_CHUNK), b""))
                return
            continue
        zeros = 0
        kind = header[_KIND]
        patched = _patch(header, latest)
        changed = int(patched != header)
        if kind in (b"x", b"g"):
            records = _contents(source, _number(header[_SIZE]))
            rewritten, size = _pax(records, latest)
            pax_size = size if kind == b"x" else pax_size
            padding = b"\0" * (-len(rewritten) % _BLOCK)
            changed += int(rewritten != records)
            yield _resize(patched, len(rewritten)) + rewritten + padding, changed
            continue
        yield patched, changed
        if kind == b"S":
            yield from ((block, 0) for block in _sparse_map(source, header))
        size = _number(header[_SIZE])
        if kind not in (b"L", b"K"):  # GNU's long names may stand between an extended header and its entry
            size, pax_size = (size if pax_size is None else pax_size), None
        yield from ((piece, 0) for piece in _pieces(source, 0 if kind in _WITHOUT_CONTENT else size))


def _contents(source: BinaryIO, size: int) -> bytes:
    padded = size + -size % _BLOCK
    body = _read(source, padded)
    if len(body) < padded:
        raise NotATarError("an extended header is cut short")
    return body[:size]


def _pieces(source: BinaryIO, size: int) -> Iterator[bytes]:
    left = size + -size % _BLOCK
    while left:
        piece = source.read(min(left, _CHUNK))
        if not piece:
            raise NotATarError("a file in the archive is cut short")
        left -= len(piece)
        yield piece


def _sparse_map(source: BinaryIO, header: bytes) -> Iterator[bytes]:
    more = header[_SPARSE_MORE]
    while more:
        block = _read(source, _BLOCK)
        if len(block) < _BLOCK:
            raise NotATarError("a sparse map is cut short")
        more = block[_SPARSE_MORE_AGAIN]
        yield block


def _read(source: BinaryIO, count: int) -> bytes:
    parts = []
    while count:
        part = source.read(count)
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _number(field: bytes) -> int:
    # Large numbers are base 256 with the first bit set (GNU tar, star).
    if field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True)
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    text = field.strip(b"\0 ")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise NotATarError(f"{field!r} is not a number of a tar header") from None


def _patch(header: bytes, latest: int) -> bytes:
    if not header[_MTIME].strip(b"\0 ") or _number(header[_MTIME]) <= latest:
        return header
    return _with_field(header, _MTIME, b"%011o\0" % latest)


def _resize(header: bytes, size: int) -> bytes:
    return header if _number(header[_SIZE]) == size else _with_field(header, _SIZE, b"%011o\0" % size)


def _with_field(header: bytes, field: slice, value: bytes) -> bytes:
    changed = bytearray(header)
    changed[field] = value
    changed[_CHECKSUM] = b" " * 8
    changed[_CHECKSUM] = b"%06o\0 " % sum(changed)
    return bytes(changed)


def _pax(records: bytes, latest: int) -> tuple[bytes, int | None]:
    r"""Clamp the times of an extended header; also returns the size that it gives the next entry.

    A record is `<length> <key>=<value>\n`, its length counting itself (POSIX pax, "pax Extended Header").
    """
    parts: list[bytes] = []
    size = None
    at = 0
    while at < len(records):
        digits, _, _ = records[at : at + 20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = records[at : at + length]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not equals or record[-1:] != b"\n" or len(record) < length:
            raise NotATarError(f"{records[at : at + 40]!r} is not a record of an extended header")
        at += length
        if key == b"size" and value.isdigit():
            size = int(value)
        parts.append(_record(key, b"%d" % latest) if key in _TIMES and _later(value, latest) else record)
    return b"".join(parts), size


def _later(value: bytes, latest: int) -> bool:
    try:
        return Decimal(value.decode("ascii")) > latest
    except (InvalidOperation, UnicodeDecodeError):
        raise NotATarError(f"{value!r} is not a time") from None


def _record(key: bytes, value: bytes) -> bytes:
    body = b" %s=%s\n" % (key, value)
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length += 1
    return b"%d%s" % (length, body)
