"""What lies in a cache folder: every file of every kind, and how much that is."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from imagebuilder.cache.kinds import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LOCK: Final = ".lock"


class Kept(NamedTuple):
    """One file; `used` is when it last was, in seconds since the epoch, `part` one that was never finished."""

    kind: Kind
    path: str
    size: int
    used: float
    part: bool


@dataclass(frozen=True)
class Usage:
    """How much of a kind there is; several files may be one entry."""

    kind: Kind
    path: Path
    entries: int = 0
    bytes: int = 0
    last_used: float | None = None


def contents(cache_dir: Path, kinds: Sequence[Kind] = KINDS) -> Iterator[Kept]:
    """All files of these kinds, those of older versions too; nothing else in the folder is looked at."""
    versions = {kind.name: kind for kind in kinds}
    with suppress(OSError), os.scandir(cache_dir) as listing:
        for folder in listing:
            name = re.fullmatch(r"([a-z]+)-\d+", folder.name)
            if name and name[1] in versions and folder.is_dir(follow_symlinks=False):
                yield from _files(versions[name[1]], folder.path, part=False)


def look(cache_dir: Path, kinds: Sequence[Kind] = KINDS) -> list[Usage]:
    """How much there is of each kind, in their order."""
    found: dict[Kind, list[Kept]] = {kind: [] for kind in kinds}
    for file in contents(cache_dir, kinds):
        found[file.kind].append(file)
    return [
        Usage(
            kind,
            kind.at(cache_dir),
            len({os.path.splitext(file.path)[0] for file in files if not file.part}),  # noqa: PTH122 - many strings
            sum(file.size for file in files),
            max((file.used for file in files), default=None),
        )
        for kind, files in found.items()
    ]


def _files(kind: Kind, folder: str, *, part: bool) -> Iterator[Kept]:
    with suppress(OSError), os.scandir(folder) as listing:
        for entry in listing:
            if entry.name == _LOCK:
                continue
            unfinished = part or _is_part(entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from _files(kind, entry.path, part=unfinished)
            else:
                with suppress(OSError):  # another process removed it just now
                    status = entry.stat(follow_symlinks=False)
                    yield Kept(kind, entry.path, status.st_size, status.st_mtime, unfinished)


def _is_part(name: str) -> bool:
    """Whether something is written under this name before it gets its own."""
    return name.startswith((".", "part-")) or ".stat." in name
