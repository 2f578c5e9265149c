"""Small files that are replaced whole."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_note(path: Path, content: bytes) -> bool:
    """Write a file so that another process sees the old one or the new one; says whether it could be.

    A disk that is full or read-only only makes a later build slower.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except OSError:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()
        return False
    return True


def read_note(path: Path, largest: int) -> bytes | None:
    """The content of a file, which is used now; None where it cannot be read, or is larger than any should be."""
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
            os.utime(file.fileno())  # what was used last is pruned last
    except OSError:
        return None
    return content if len(content) <= largest else None
