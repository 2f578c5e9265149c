"""Where content lies before it is pushed: the `ContentStore` port and a double in memory."""

from __future__ import annotations

import io
from typing import BinaryIO, Protocol

from imagebuilder.errors import VerificationError
from imagebuilder.registry.descriptor import Descriptor


class ContentStore(Protocol):
    """Blobs and manifests by their digest."""

    def open(self, digest: str) -> BinaryIO:
        """A new stream of the content; raises VerificationError where the store has no such content."""

    def size(self, digest: str) -> int:
        """Its length in bytes; raises VerificationError where the store has no such content."""


class MemoryStore:
    """A store in memory."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def add(self, content: bytes, media_type: str) -> Descriptor:
        """Keep some bytes."""
        descriptor = Descriptor.of(media_type, content)
        self.contents[descriptor.digest] = content
        return descriptor

    def open(self, digest: str) -> BinaryIO:
        """A new stream of the content."""
        if digest not in self.contents:
            raise missing(digest, "the store in memory")
        return io.BytesIO(self.contents[digest])

    def size(self, digest: str) -> int:
        """Its length in bytes."""
        if digest not in self.contents:
            raise missing(digest, "the store in memory")
        return len(self.contents[digest])


def missing(digest: str, where: str) -> VerificationError:
    """The error for content that should be in a store."""
    return VerificationError(f"{where} lacks {digest}", hint="build the image again")
