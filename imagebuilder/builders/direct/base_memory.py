"""Manifests and configs of bases by their digest, on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagebuilder.cache.notes import read_note, write_note
from imagebuilder.registry.descriptor import digest_like, is_digest

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST: Final = 8 << 20


class BaseMemory:
    """One file for each; what does not have its digest any more is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, digest: str) -> bytes | None:
        """What is remembered under a digest, verified."""
        if not is_digest(digest):
            return None
        content = read_note(self._path(digest), _LARGEST)
        return content if content is not None and digest_like(digest, content) == digest else None

    def remember(self, digest: str, content: bytes) -> None:
        """Keep a content; what cannot be written is asked for again the next time."""
        if len(content) <= _LARGEST:
            write_note(self._path(digest), content)

    def _path(self, digest: str) -> Path:
        return self._folder / digest.replace(":", "-")
