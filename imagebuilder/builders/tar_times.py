"""Rewrites the times in a tar stream without unpacking it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

_BLOCK = 512
_CHUNK = 1 << 20
_MTIME = slice(136, 148)
_CHECKSUM = slice(148, 156)
_SIZE = slice(124, 136)
_PAX_TIME = re.compile(rb"(\d+) (mtime|atime|ctime)=([0-9.]+)\n")


class NotATarError(ValueError):
    """The stream is not a tar archive."""


def clamp_times(source: BinaryIO, latest: int) -> Iterator[tuple[bytes, int]]:
    """Yield a tar stream in pieces, each with how many times in it were later than `latest` and set to it.

    Headers are patched in place (POSIX ustar: octal mtime at offset 136, checksum at 148), contents pass through.
    """
    while True:
        header = _read(source, _BLOCK)
        if not header:
            return
        if len(header) < _BLOCK:
            raise NotATarError("a tar header is cut short")
        if not header.strip(b"\0"):
            yield header, 0
            continue
        size = _number(header[_SIZE])
        padded = -(-size // _BLOCK) * _BLOCK
        kind = header[156:157]
        patched = _patch(header, latest)
        if kind in (b"x", b"g"):
            body = _read(source, padded)
            rewritten = _pax(body[:size], latest)
            changed = int(patched != header) + int(rewritten != body[:size])
            yield _resize(patched, len(rewritten)) + rewritten + b"\0" * (-len(rewritten) % _BLOCK), changed
            continue
        yield patched, int(patched != header)
        while padded:
            chunk = source.read(min(padded, _CHUNK))
            if not chunk:
                raise NotATarError("a file in the archive is cut short")
            padded -= len(chunk)
            yield chunk, 0


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


def _pax(records: bytes, latest: int) -> bytes:
    def clamp(found: re.Match[bytes]) -> bytes:
        if float(found[3]) <= latest:
            return found[0]
        body = b" %s=%d\n" % (found[2], latest)
        length = len(body) + 1
        while len(b"%d" % length) + len(body) != length:
            length += 1
        return b"%d%s" % (length, body)

    return _PAX_TIME.sub(clamp, records)
