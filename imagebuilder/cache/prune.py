"""Keeps what is kept below a size, the longest unused going first, and never what a running process uses."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.cache.contents import contents
from imagebuilder.cache.in_use import in_use, use_folder, users
from imagebuilder.cache.kinds import IMAGES, KINDS, WHEELS, Kind
from imagebuilder.cache.locked import locked
from imagebuilder.cache.notes import write_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from imagebuilder.cache.contents import Kept

_SLACK: Final = 2.0  # seconds that a user's start and a file's time may be apart on one disk
_UNFINISHED: Final = 60.0  # seconds without a byte after which nobody writes a file any more
_SELDOM: Final = 60.0  # seconds between two looks at the whole folder
_LOOKED: Final = ".looked"


@dataclass
class Freed:
    """What was removed, by kind: how many files, how many bytes; of what is `left`, `in_use` had to stay."""

    files: dict[Kind, int] = field(default_factory=dict)
    bytes: dict[Kind, int] = field(default_factory=dict)
    in_use: int = 0
    left: int = 0

    @property
    def total(self) -> int:
        """All bytes that were removed."""
        return sum(self.bytes.values())

    def add(self, file: Kept) -> None:
        """Count a file that was removed."""
        self.files[file.kind] = self.files.get(file.kind, 0) + 1
        self.bytes[file.kind] = self.bytes.get(file.kind, 0) + file.size


def prune(
    cache_dir: Path,
    *,
    limit: int | None = None,
    older_than: float | None = None,
    kinds: Sequence[Kind] = KINDS,
    wait: bool = True,
    clock: Callable[[], float] = time.time,
) -> Freed:
    """Remove what was not used for `older_than` seconds, then the longest unused until `limit` bytes are left.

    What processes left unfinished goes in any case. Builds that begin meanwhile wait until this is done.

    Raises:
        BlockingIOError: somebody else prunes, or a build begins just now, and `wait` is false.
    """
    freed = Freed()
    if not cache_dir.is_dir():
        return freed
    with locked(use_folder(cache_dir) / ".lock", wait=wait):
        now, found = clock(), users(cache_dir)
        free = now if found.since is None else found.since - _SLACK
        rest, whole = 0, []
        for file in contents(cache_dir, kinds):
            if file.part:
                if file.used < min(free, now - _UNFINISHED):
                    _remove(file, freed)
                continue
            rest += file.size
            whole.append(file)
        for file in sorted(whole, key=lambda file: file.used):
            too_old = older_than is not None and file.used <= now - older_than
            too_much = limit is not None and rest > limit
            if not too_old and not too_much:
                break
            if (found.since is not None and file.used >= free) or (found.quiet and file.kind is IMAGES):
                freed.in_use += file.size
            elif _remove(file, freed):
                rest -= file.size
        freed.left = rest
    return freed


@contextlib.contextmanager
def bounded(cache_dir: Path, limit: int) -> Iterator[None]:
    """Use the cache, and bring it below `limit` bytes afterwards.

    That takes a look at every file: while less than half of the limit is used, it is looked at once a minute. What
    cannot be removed, or is looked at by another process just now, stays until the next time.
    """
    with in_use(cache_dir):
        yield
    with contextlib.suppress(OSError):
        note = use_folder(cache_dir) / _LOOKED
        if not _has_room(note, limit):
            write_note(note, str(prune(cache_dir, limit=limit, wait=False).left).encode())


def _has_room(note: Path, limit: int) -> bool:
    """Whether there was much room left a short while ago."""
    try:
        return 0 <= time.time() - note.stat().st_mtime < _SELDOM and int(note.read_bytes()) < limit // 2
    except (OSError, ValueError):
        return False


def _remove(file: Kept, freed: Freed) -> bool:
    try:
        os.unlink(file.path)  # noqa: PTH108 - one of many
    except FileNotFoundError:
        return True
    except OSError:
        return False
    freed.add(file)
    parent = Path(file.path).parent
    if (file.kind is WHEELS and not file.part) or parent.name.startswith("."):
        with contextlib.suppress(OSError):  # a wheel's folder is its own; others keep what they share
            parent.rmdir()
    return True
