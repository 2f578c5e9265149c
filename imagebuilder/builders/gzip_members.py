"""Compresses a stream on several cores, to the same bytes wherever the same zlib does it."""

from __future__ import annotations

import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

_MEMBER = 4 << 20  # bytes per gzip member: members are compressed side by side (RFC 1952, section 2.2)
_LEVEL = 6
_VERSION = 1

# Names everything that decides about the bytes.
FORMAT = f"{_VERSION}-{_MEMBER}-{_LEVEL}-{zlib.ZLIB_RUNTIME_VERSION}"


def compress(pieces: Iterable[bytes], workers: int = 2) -> Iterator[bytes]:
    """Compress a stream to gzip members, in order."""
    with ThreadPoolExecutor(workers, thread_name_prefix="gzip") as pool:
        pending: deque[Future[bytes]] = deque()
        for block in _blocks(pieces):
            pending.append(pool.submit(_member, block))
            while len(pending) > workers + 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream into equal blocks, however its pieces came."""
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        while len(gathered) >= _MEMBER:
            yield bytes(gathered[:_MEMBER])
            del gathered[:_MEMBER]
    if gathered:
        yield bytes(gathered)


def _member(block: bytes) -> bytes:
    # wbits 31: a gzip header without name or time.
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    return compressor.compress(block) + compressor.flush()
