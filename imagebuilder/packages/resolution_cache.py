"""Remembers resolutions for a while, so that an unchanged spec does not ask the index again."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.cache.notes import read_note, write_note

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

VERSION: Final = 1  # raise it with every change to how layers are resolved
_MAGIC: Final = "# imagebuilder resolution"
_LARGEST: Final = 64 << 20


def resolution_key(parts: Sequence[str]) -> str:
    """The SHA-256, in hex, of all that decides a resolution, every part prefixed by its length."""
    hasher = hashlib.sha256(b"imagebuilder resolution %d\n" % VERSION)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        hasher.update(b"%d\n%s" % (len(data), data))
    return hasher.hexdigest()


class ResolutionCache:
    """One small file per key below a folder; safe among processes, since each is replaced whole.

    `ttl` is in seconds; `clock` tells those since the epoch. A file begins with when it was written and its digest.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, ttl: float = 600.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder = Path(folder)
        self._ttl = ttl
        self._clock = clock

    def get(self, key: str, *, forever: bool = False) -> str | None:
        """A lock's text; None where it is unknown, damaged, or too old and not to be kept forever."""
        data = read_note(self._path(key), _LARGEST) or b""
        head, _, body = data.partition(b"\n")
        words = head.decode("ascii", "replace").removeprefix(_MAGIC).split()
        if len(words) != 3 or words[0] != key or words[2] != hashlib.sha256(body).hexdigest():
            return None
        try:
            age = self._clock() - float(words[1])
            text = body.decode()
        except ValueError:
            return None
        # A time in the future is a clock that was wrong.
        return text if forever or 0 <= age < self._ttl else None

    def put(self, key: str, text: str) -> None:
        """Remember a lock's text; a disk that is full or read-only only makes the next build slower."""
        body = text.encode()
        head = f"{_MAGIC} {key} {self._clock():.3f} {hashlib.sha256(body).hexdigest()}\n"
        write_note(self._path(key), head.encode() + body)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.toml"
