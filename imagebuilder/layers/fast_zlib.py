"""The zlib at hand: ISA-L, which inflates the same streams in less than half the time, or Python's own."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

_own: Any  # ISA-L has the functions of zlib by the same names
try:
    from isal import ISAL_VERSION, igzip
    from isal import isal_zlib as _own
except ImportError:  # there is no wheel of it for this machine
    _own = zlib

if TYPE_CHECKING:
    from typing import BinaryIO

_IS_ISAL: Final = _own is not zlib
_LEVEL: Final = 2 if _IS_ISAL else 1  # a tenth of the time that more would take, for hardly more bytes
ENCODER: Final = f"isal-{ISAL_VERSION}-{_LEVEL}" if _IS_ISAL else f"zlib-{zlib.ZLIB_RUNTIME_VERSION}-{_LEVEL}"
ERRORS: Final[tuple[type[Exception], type[Exception]]] = (zlib.error, _own.error)


class Inflater(Protocol):
    """What `zlib.decompressobj` gives."""

    eof: bool
    unconsumed_tail: bytes
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        """What data inflates to, or as much of it as there is room for."""


def inflater(window_bits: int) -> Inflater:
    """As `zlib.decompressobj`; it raises one of ERRORS."""
    return cast("Inflater", _own.decompressobj(window_bits))


def deflated(data: bytes) -> bytes:
    """A raw deflate stream; its bytes depend on the ENCODER."""
    compressor = _own.compressobj(_LEVEL, zlib.DEFLATED, -15)
    return cast("bytes", compressor.compress(data) + compressor.flush())


def crc32(data: bytes | memoryview, value: int = 0) -> int:
    """As `zlib.crc32`."""
    return cast("int", _own.crc32(data, value))


def open_gzip(stream: BinaryIO) -> BinaryIO:
    """A gzip file's content; reading raises one of ERRORS, `gzip.BadGzipFile` or EOFError."""
    unpacked: Any = igzip.IGzipFile if _IS_ISAL else gzip.GzipFile
    return cast("BinaryIO", unpacked(fileobj=stream))
