"""Files of this machine as content to be pushed: `FileStore`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from imagebuilder.errors import SourceError
from imagebuilder.registry.descriptor import Descriptor
from imagebuilder.registry.store import missing

if TYPE_CHECKING:
    from pathlib import Path

# What artifacts' readers go by (OCI image-spec "Pre-Defined Annotation Keys"; ORAS names files after it).
TITLE = "org.opencontainers.image.title"


_PIECE = 1 << 20


class FileStore:
    """Files by their digest; read when they are added and when they are pushed, never held in memory."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[Path, int]] = {}

    def add(self, path: Path, media_type: str) -> Descriptor:
        """Take a file in, under its own name.

        Raises:
            SourceError: it cannot be read.
        """
        if path.exists() and not path.is_file():  # a named pipe that nobody writes into would be waited for
            raise SourceError(f"{path} cannot be read: it is no regular file", hint="write what is to go into a file")
        try:
            with path.open("rb") as file:
                hashed = hashlib.sha256()
                while piece := file.read(_PIECE):
                    hashed.update(piece)
                digest, size = f"sha256:{hashed.hexdigest()}", file.tell()
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}", hint="name a file that is there") from error
        self._files[digest] = (path, size)
        return Descriptor(media_type, digest, size, annotations={TITLE: path.name})

    def open(self, digest: str) -> BinaryIO:
        """A new stream of the content."""
        return self._file(digest)[0].open("rb")

    def size(self, digest: str) -> int:
        """Its length in bytes, when it was added."""
        return self._file(digest)[1]

    def _file(self, digest: str) -> tuple[Path, int]:
        if digest not in self._files:
            raise missing(digest, "the files that were named")
        return self._files[digest]
