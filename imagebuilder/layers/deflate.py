"""Deflate streams that are the same bytes on every machine (RFC 1951, RFC 1952).

What zlib writes depends on its version and on who built it (zlib-ng, Cloudflare's, IBM's hardware), and a layer's
digest with it. What we add to layers is little and mostly zeros: tar headers and padding. So they are encoded here:
one block with the fixed codes, each byte a literal, runs of zeros as matches. Larger things are stored.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from imagebuilder.layers.fast_zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

# No name, no time, and an unknown operating system (RFC 1952, section 2.3.1).
GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_TRAILER: Final = struct.Struct("<LL").pack
_BLOCK = 0xFFFF  # the largest stored block
_ENCODED_AT_ONCE = 1 << 14  # shifting long integers costs the square of their length


def _reversed_bits(value: int, count: int) -> int:
    return int(f"{value:0{count}b}"[::-1], 2)


# Literals below 144 have codes of eight bits, 0x30 and up, written from the highest bit (RFC 1951, section 3.2.6):
# so translating bytes encodes them. The others have nine bits; data that has them is stored.
_LITERALS: Final = bytes(_reversed_bits((0x30 + byte) & 0xFF, 8) for byte in range(256))
_WIDE = re.compile(rb"[\x90-\xff]")
_ZEROS = re.compile(rb"(\0{4,})")


def _match(length: int) -> tuple[int, int]:
    """The bits of a match of 3 to 258 bytes at distance one, and how many they are."""
    code, base, extra = LENGTH_CODES[length]
    bits, count = (_reversed_bits(code - 256, 7), 7) if code < 280 else (_reversed_bits(0xC0 + code - 280, 8), 8)
    bits |= (length - base) << count
    return bits, count + extra + 5  # distance code 0: five bits, all zero


def _length_codes() -> dict[int, tuple[int, int, int]]:
    codes: dict[int, tuple[int, int, int]] = {}
    length = 3
    for code in range(257, 285):
        extra = 0 if code < 265 else (code - 261) // 4
        for value in range(length, min(length + (1 << extra), 258)):
            codes[value] = (code, length, extra)
        length += 1 << extra
    codes[258] = (285, 258, 0)
    return codes


LENGTH_CODES: Final = _length_codes()


@lru_cache(4096)
def _zeros(count: int) -> tuple[int, int]:
    """The bits of a run of zeros, and how many they are: one literal, then matches, then literals."""
    zero = _LITERALS[0]
    bits, at = zero, 8
    count -= 1
    while count >= 3:
        # Never leave one or two, which would take literals, where a shorter match avoids it.
        length = min(count, 258) if count - 258 not in (1, 2) else 255
        more, width = _match(length)
        bits |= more << at
        at += width
        count -= length
    for _ in range(count):
        bits |= zero << at
        at += 8
    return bits, at


def encode(data: bytes) -> bytes:
    """A deflate stream of some bytes, short where they are mostly zeros."""
    if len(data) > _ENCODED_AT_ONCE or _WIDE.search(data):
        return b"".join(stored_blocks(data, final=True))
    bits, at = 0b011, 3  # the last block, of fixed codes
    for number, piece in enumerate(_ZEROS.split(data)):
        if number % 2:
            run, width = _zeros(len(piece))
            bits |= run << at
            at += width
        elif piece:
            bits |= int.from_bytes(piece.translate(_LITERALS), "little") << at
            at += 8 * len(piece)
    at += 7  # the end of the block: seven bits, all zero
    return bits.to_bytes((at + 7) // 8, "little")


def stored_blocks(data: bytes | memoryview, *, final: bool) -> Iterator[bytes]:
    """The blocks of uncompressed data (RFC 1951, section 3.2.4); the last one ends the stream if it is `final`."""
    if not data and final:
        yield b"\x01\x00\x00\xff\xff"
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        last = final and start + _BLOCK >= len(data)
        yield struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF)
        yield bytes(block)


def gzip_trailer(crc: int, size: int) -> bytes:
    """What ends a gzip member."""
    return _TRAILER(crc, size & 0xFFFFFFFF)


def gzip_member(data: bytes) -> bytes:
    """A whole gzip member of some bytes."""
    return GZIP_HEADER + encode(data) + gzip_trailer(crc32(data), len(data))
