"""The user's files as one command sees them."""

# Paths are strings in this folder, and abspath() is wanted: resolve() would follow links.
# ruff: noqa: PTH100

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, TypeAlias

from imagebuilder.sources.ignore import read_ignore_file
from imagebuilder.sources.stat_cache import StatCache
from imagebuilder.sources.walk import snapshot_file, take_snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from imagebuilder.sources.snapshot import File, Snapshot

_Request: TypeAlias = tuple[str, tuple[str, ...], bool, bool]


class Sources:
    """Reads each folder and file once, however many images share it.

    Make one per command and let it go at the end: what it remembers must not outlive an edit. As a context manager it
    saves its stat cache at the end, errors or not. Threads may share it.
    """

    def __init__(self, cache_dir: Path | None = None) -> None:
        self._cache = StatCache(cache_dir)
        self._snapshots: dict[_Request, Snapshot] = {}
        self._files: dict[str, File] = {}
        self._ignore_files: dict[str, tuple[str, ...]] = {}
        self._lock = threading.RLock()

    def snapshot(
        self,
        root: str | os.PathLike[str],
        patterns: Sequence[str] = (),
        *,
        defaults: bool = True,
        dockerignore: bool = True,
    ) -> Snapshot:
        """As `take_snapshot`."""
        request = (os.path.abspath(root), tuple(patterns), defaults, dockerignore)
        with self._lock:
            if request not in self._snapshots:
                self._snapshots[request] = take_snapshot(
                    root, patterns, defaults=defaults, dockerignore=dockerignore, cache=self._cache
                )
            return self._snapshots[request]

    def file(self, path: str | os.PathLike[str]) -> File:
        """As `snapshot_file`."""
        full = os.path.abspath(path)
        with self._lock:
            if full not in self._files:
                self._files[full] = snapshot_file(full, self._cache)
            return self._files[full]

    def ignore_file(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """As `read_ignore_file`."""
        full = os.path.abspath(path)
        with self._lock:
            if full not in self._ignore_files:
                self._ignore_files[full] = read_ignore_file(full)
            return self._ignore_files[full]

    def save(self) -> None:
        """Write the stat cache, for the next command."""
        with self._lock:
            self._cache.save()

    def __enter__(self) -> Sources:  # noqa: PYI034 - typing has no Self in Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()
