"""Keeps the layers that builds share below a size, the longest unused going first."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from imagebuilder.builders.workspace import locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LIMIT = 20 << 30  # bytes
_YOUNG = 3600.0  # seconds in which an image that was built is surely published
_LOCK = ".in-use"


@contextlib.contextmanager
def in_use(cache_dir: Path) -> Iterator[None]:
    """While this is held nothing is removed: BuildKit may just have been told that a layer is there."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with locked(cache_dir / _LOCK, shared=True):
        yield


def touch(paths: Iterable[Path]) -> None:
    """Mark files as used now."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.utime(path)


def prune(cache_dir: Path, limit: int = LIMIT, young: float = _YOUNG) -> int:
    """Remove the longest unused files until the rest is below `limit` bytes; returns how many bytes went.

    Nothing used within the last `young` seconds goes, and nothing at all while somebody builds.
    """
    descriptor = os.open(cache_dir / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return 0
    try:
        return _remove(cache_dir, limit, time.time() - young)
    finally:
        os.close(descriptor)


def _remove(cache_dir: Path, limit: int, newest: float) -> int:
    found = []
    for folder in (cache_dir / "blobs" / "sha256", cache_dir / "normalized"):
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            found += [(status.st_mtime, status.st_size, entry) for entry in entries for status in (entry.stat(),)]
    total = sum(size for _, size, _ in found)
    removed = 0
    for used, size, entry in sorted(found, key=lambda file: file[0]):
        if used > newest:
            break
        # What a killed process was writing is of no use to anybody.
        if total - removed > limit or entry.name.startswith("."):
            with contextlib.suppress(OSError):
                os.unlink(entry)  # noqa: PTH108 - a DirEntry, one of many
                removed += size
    return removed
