"""Writes a layer: a tar archive in a gzip file, the same bytes on every machine, without holding it in memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from imagebuilder.errors import SourceChangedError
from imagebuilder.layers import fast_zlib
from imagebuilder.layers.ahead import ahead
from imagebuilder.layers.deflate import GZIP_HEADER, gzip_member, gzip_trailer
from imagebuilder.layers.layer import MEDIA_TYPE, Layer, OnDisk, Packed, TarEntry
from imagebuilder.layers.squeeze import squeezed_member
from imagebuilder.layers.tar_header import END, Kind, header, padding
from imagebuilder.registry.descriptor import Descriptor
from imagebuilder.sources.content import READ_FLAGS, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PINNED: Final = "pinned"  # what is ours is nearly not compressed: the same bytes on every machine
ZLIB: Final = fast_zlib.ENCODER  # compressed: the bytes depend on the zlib at hand
SQUEEZED: Final = "squeezed-1"  # compressed slowly: the same bytes on every machine
_OWN_LIMIT: Final = {PINNED: 16 << 10, ZLIB: 1 << 20, SQUEEZED: 512 << 10}
# From here on reading and inflating has a thread of its own; smaller layers are written side by side anyway.
_LARGE: Final = 256 << 20
_BATCH: Final = 512 << 10
_READ: Final = 256 << 10
# Bytes for the blob and what they inflate to; None instead of the first: ours to encode.
_Piece: TypeAlias = tuple[bytes | None, bytes]


def write_layer(
    entries: Iterable[TarEntry],
    blobs: Path,
    *,
    what: str,
    owner: tuple[int, int],
    mtime: int,
    codec: str = PINNED,
    check: Callable[[], None] = lambda: None,
) -> Layer:
    """Write entries, in this order, as a blob into the folder `blobs` of an OCI layout.

    `codec` is PINNED, ZLIB or SQUEEZED, for what does not come compressed. `check` is called for every piece, to raise
    where nobody wants the layer any more. Nothing is left there when it fails.

    Raises:
        SourceError: a wheel is not what it says.
        SourceChangedError: a file is no longer what was identified.
    """
    blobs.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=blobs, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            sink = _Sink(file, codec, check)
            pieces = _pieces(entries, owner, mtime)
            if not isinstance(entries, list) or sum(entry.size for entry in entries) < _LARGE:
                sink.add_all(pieces)
            else:
                with ahead(_batches(pieces)) as batches:
                    for batch in batches:
                        sink.add_all(batch)
            sink.close()
        Path(temporary).chmod(0o644)
        Path(temporary).replace(blobs / sink.blob.hexdigest())
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    descriptor = Descriptor(MEDIA_TYPE, f"sha256:{sink.blob.hexdigest()}", sink.size)
    return Layer(descriptor, f"sha256:{sink.diff.hexdigest()}", what)


class _Sink:
    """Hashes both sides; gathers what is ours, to encode it at once."""

    def __init__(self, file: BinaryIO, codec: str, check: Callable[[], None]) -> None:
        self.file = file
        self.check = check
        self.member = {PINNED: gzip_member, ZLIB: _compressed, SQUEEZED: squeezed_member}[codec]
        self.limit = _OWN_LIMIT[codec]
        self.blob, self.diff = hashlib.sha256(), hashlib.sha256()
        self.size = 0
        self.own: list[bytes] = []
        self.waiting = 0

    def add_all(self, pieces: Iterable[_Piece]) -> None:
        for compressed, data in pieces:
            self.add(compressed, data)

    def add(self, compressed: bytes | None, data: bytes) -> None:
        if compressed is not None:
            self.flush()
            self.put(compressed)
            self.diff.update(data)
        else:
            self.own.append(data)
            self.waiting += len(data)
            if self.waiting >= self.limit:
                self.flush()

    def flush(self) -> None:
        if self.own:
            data = b"".join(self.own)
            self.diff.update(data)
            self.put(self.member(data))
            self.own, self.waiting = [], 0

    def put(self, compressed: bytes) -> None:
        self.check()
        self.file.write(compressed)
        self.blob.update(compressed)
        self.size += len(compressed)

    def close(self) -> None:
        self.add(None, END)
        self.flush()


def _pieces(entries: Iterable[TarEntry], owner: tuple[int, int], mtime: int) -> Iterator[_Piece]:
    for entry in entries:
        is_file, whose = entry.kind is Kind.FILE, entry.owner or owner
        yield (
            None,
            header(entry.path, entry.kind, mode=entry.mode, size=entry.size, link=entry.link, owner=whose, mtime=mtime),
        )
        if not is_file:
            continue
        match entry.content:
            case bytes(data):
                if data:
                    yield None, data
            case Packed(wheel, member, _):
                yield from _whole(wheel.pieces(member), keep=bool(member.size))
            case OnDisk():
                for data in _read(entry, entry.content):
                    yield None, data
        if entry.size % 512:
            yield None, padding(entry.size)


def _whole(pieces: Iterator[tuple[bytes, bytes]], *, keep: bool) -> Iterator[_Piece]:
    """The pieces of a wheel's file; those of an empty one are only checked."""
    for compressed, data in pieces:
        if keep:
            yield compressed, data


def _read(entry: TarEntry, content: OnDisk) -> Iterator[bytes]:
    hasher = hashlib.sha256()
    size = 0
    try:
        with os.fdopen(os.open(content.location, READ_FLAGS | os.O_NOFOLLOW), "rb", buffering=0) as file:
            file.seek(content.offset)
            while size < entry.size and (data := file.read(min(_READ, entry.size - size))):
                size += len(data)
                hasher.update(data)
                yield data
    except OSError as error:
        raise unreadable(content.location, error) from None
    if size != entry.size or hasher.digest() != content.sha256:
        raise SourceChangedError(
            f"{content.location} changed while the image was built", hint="build again when nothing writes to it"
        )


def _compressed(data: bytes) -> bytes:
    return GZIP_HEADER + fast_zlib.deflated(data) + gzip_trailer(fast_zlib.crc32(data), len(data))


def _batches(pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces by the half megabyte: handing each from thread to thread would cost more than it saves."""
    batch: list[_Piece] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece[0] or b"") + len(piece[1])
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    yield batch
