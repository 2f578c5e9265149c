"""Headers of tar archives: POSIX ustar, with an extended header (pax) only for what does not fit."""

from __future__ import annotations

import enum
from typing import Final

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
_NAME, _PREFIX, _LINK = 100, 155, 100
_LARGEST_SIZE = 8**11 - 1
_LARGEST_ID = 8**7 - 1
_TAIL = b"ustar\x0000" + bytes(64) + b"0000000\x000000000\0"  # magic, version, no user or group name, no device


class Kind(enum.Enum):
    """What an entry is, by its letter in the header."""

    FILE = b"0"
    LINK = b"2"
    FOLDER = b"5"
    EXTENDED = b"x"


def header(
    path: str, kind: Kind, *, mode: int, size: int = 0, link: str = "", owner: tuple[int, int], mtime: int
) -> bytes:
    """The block or blocks that stand before an entry's content; a folder's path gets its slash here."""
    full = path.encode() + (b"/" if kind is Kind.FOLDER else b"")
    target = link.encode()
    extended: list[tuple[bytes, bytes]] = []
    split = _split(full)
    if split is None:
        extended.append((b"path", full))
        split = b"", _ascii(full)[:_NAME]
    if len(target) > _LINK or not target.isascii():
        extended.append((b"linkpath", target))
        target = _ascii(target)[:_LINK]
    if size > _LARGEST_SIZE:
        extended.append((b"size", b"%d" % size))
    for key, number in ((b"uid", owner[0]), (b"gid", owner[1])):
        if number > _LARGEST_ID:
            extended.append((key, b"%d" % number))
    uid, gid = (number if number <= _LARGEST_ID else 0 for number in owner)
    block = _block(split, kind, (mode, uid, gid, size if size <= _LARGEST_SIZE else 0, mtime), target)
    if not extended:
        return block
    records = b"".join(_record(key, value) for key, value in sorted(extended))
    name = b"PaxHeaders/" + _ascii(full.rstrip(b"/").rpartition(b"/")[2])[:80]
    return _block((b"", name), Kind.EXTENDED, (0o644, uid, gid, len(records), mtime)) + padded(records) + block


def padding(size: int) -> bytes:
    """The zeros that fill a content's last block."""
    return bytes(-size % BLOCK)


def padded(content: bytes) -> bytes:
    """A content with the zeros that fill its last block."""
    return content + padding(len(content))


def _split(path: bytes) -> tuple[bytes, bytes] | None:
    """Prefix and name, as POSIX joins them with a slash; None where they cannot hold the path."""
    if not path.isascii():
        return None
    if len(path) <= _NAME:
        return b"", path
    at = path.find(b"/", len(path) - _NAME - 1, len(path) - 1)
    return (path[:at], path[at + 1 :]) if 0 < at <= _PREFIX else None


def _ascii(path: bytes) -> bytes:
    return path.decode().encode("ascii", "replace")


def _block(split: tuple[bytes, bytes], kind: Kind, numbers: tuple[int, int, int, int, int], link: bytes = b"") -> bytes:
    """One block; the numbers are mode, uid, gid, size and mtime."""
    prefix, name = split
    start = name.ljust(_NAME, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % numbers
    end = kind.value + link.ljust(_LINK, b"\0") + _TAIL + prefix.ljust(_PREFIX + 12, b"\0")
    return start + b"%06o\0 " % (sum(start) + sum(end) + 8 * 0x20) + end


def _record(key: bytes, value: bytes) -> bytes:
    r"""`<length> <key>=<value>\n`, the length counting itself (POSIX pax, "pax Extended Header")."""
    body = b" %s=%s\n" % (key, value)
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length += 1
    return b"%d%s" % (length, body)
