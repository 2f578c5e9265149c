"""What can be wrong with the file of the record, and what helps."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tasksdk.errors import StoreError
from tasksdk.store.home import VARIABLE

if TYPE_CHECKING:
    import sqlite3

# SQLite's own texts of its result codes (https://www.sqlite.org/rescode.html): Python 3.10 tells no codes.
_DAMAGED = ("file is not a database", "malformed", "file is encrypted")
_HINTS = {
    "locked": f"`fuser {{path}}` tells who holds it; end that process, or set {VARIABLE} to another folder",
    "full": f"make room, or set {VARIABLE} to a folder on another disk",
    "No space left": f"make room, or set {VARIABLE} to a folder on another disk",
    "": f"set {VARIABLE} to a folder that you may write into",
}


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file holds something that SQLite did not write."""
    return any(text in str(error) for text in _DAMAGED)


def trouble(path: str, error: sqlite3.Error | OSError) -> StoreError:
    """The error as the user gets it."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    hint = next(hint for text, hint in _HINTS.items() if text in said)
    return StoreError(f"the record of runs, {path}, cannot be used: {said}", hint=hint.format(path=path))


def set_aside(path: str) -> str:
    """Move a damaged file, with what SQLite keeps beside it; where it is now."""
    aside = f"{path}.damaged-{time.time_ns()}"
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(path + suffix, aside + suffix)  # noqa: PTH105 - pathlib takes longer to import
    return aside
