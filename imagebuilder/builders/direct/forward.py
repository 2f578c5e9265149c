"""A stream as `tarfile` reads files: in large pieces, where its own way of reading streams copies small ones."""

from __future__ import annotations

import io
from typing import BinaryIO, Final

_PIECE: Final = 1 << 18
_BACK: Final = 512  # bytes: tarfile looks at the last byte of what it skips


class Forward(io.RawIOBase):
    """What a stream gives, where nobody goes back further than a block."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._held = b""
        self._start = 0  # where what is held begins
        self._at = 0

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on to a place.

        Raises:
            UnsupportedOperation: it is too far back.
        """
        if whence != io.SEEK_SET or offset < self._start:
            raise io.UnsupportedOperation("a stream goes forward")
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """As much as that, or less at the end; without a size all of it."""
        wanted = self._at + size
        pieces = []
        while size < 0 or self._at < wanted:
            first = self._at - self._start
            piece = self._held[first : None if size < 0 else wanted - self._start]
            self._at += len(piece)
            pieces.append(piece)
            if (size < 0 or self._at < wanted) and not self._more():
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _more(self) -> bool:
        piece = self._stream.read(_PIECE)
        kept = self._held[-_BACK:]
        self._start += len(self._held) - len(kept)
        self._held = kept + piece
        return bool(piece)
