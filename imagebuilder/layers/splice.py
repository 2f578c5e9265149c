"""A member of a zip file as a member of a gzip file, without compressing anything anew.

Both formats wrap the same raw deflate stream and both give its CRC-32 and its length (APPNOTE.TXT 4.4; RFC 1952), so
only the wrapping is exchanged. The stream is inflated once, for the digests, and so that nothing broken is passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagebuilder.layers import fast_zlib
from imagebuilder.layers.deflate import GZIP_HEADER, gzip_trailer, stored_blocks
from imagebuilder.layers.zip_directory import STORED, BadZipError, Member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READ: Final = 256 << 10
_INFLATED: Final = 1 << 20
_GZIP = 31  # the inflater then checks the trailer that we are about to write


def splice(read: Callable[[int, int], bytes], member: Member) -> Iterator[tuple[bytes, bytes]]:
    """The gzip member of a zip member in pieces, each with what it inflates to; together they are both whole.

    Raises:
        BadZipError: the member is not what the directory says. Pieces before it were handed out by then.
    """
    if member.method == STORED:
        yield from _stored(read, member)
        return
    total = 0
    inflater = fast_zlib.inflater(_GZIP)
    # At most one byte more than there should be is ever inflated: a bomb does not go off.
    try:
        for raw in _wrapped(read, member):
            compressed, waiting = raw, raw
            while True:
                room = min(_INFLATED, member.size - total + 1)
                data = inflater.decompress(waiting, room)
                total += len(data)
                if total > member.size:
                    raise BadZipError(f"its member {member.name!r} is longer than the {member.size} bytes it says")
                yield compressed, data
                compressed, waiting = b"", inflater.unconsumed_tail
                if len(data) < room:
                    break
            if waiting or (inflater.eof and inflater.unused_data):
                raise BadZipError(f"its member {member.name!r} ends before its compressed data does")
    except fast_zlib.ERRORS as error:
        raise BadZipError(f"its member {member.name!r} is damaged: {error}") from None
    if total != member.size or not inflater.eof:
        raise BadZipError(f"its member {member.name!r} has {total} bytes, and says {member.size}")


def _wrapped(read: Callable[[int, int], bytes], member: Member) -> Iterator[bytes]:
    """The compressed bytes with a gzip header before and its trailer behind."""
    trailer = gzip_trailer(member.crc, member.size)
    start = GZIP_HEADER
    for offset in range(0, member.compressed, _READ):
        count = min(_READ, member.compressed - offset)
        raw = _exactly(read, member, offset, count)
        yield start + raw + (trailer if offset + count == member.compressed else b"")
        start = b""


def _stored(read: Callable[[int, int], bytes], member: Member) -> Iterator[tuple[bytes, bytes]]:
    crc = 0
    start = GZIP_HEADER
    for offset in range(0, member.size, _READ):
        count = min(_READ, member.size - offset)
        data = _exactly(read, member, offset, count)
        crc = fast_zlib.crc32(data, crc)
        yield start + b"".join(stored_blocks(data, final=offset + count == member.size)), data
        start = b""
    if crc != member.crc:
        raise BadZipError(f"its member {member.name!r} is damaged: its checksum is another")
    if member.size:
        yield gzip_trailer(crc, member.size), b""


def _exactly(read: Callable[[int, int], bytes], member: Member, offset: int, count: int) -> bytes:
    data = read(member.offset + offset, count)
    if len(data) != count:
        raise BadZipError("it became shorter while it was read")
    return data
