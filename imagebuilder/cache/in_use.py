"""Who uses the cache now, so that nothing is removed under a running build.

Each user has a file in `in-use`, and holds its lock for as long as it lives (flock(2)): "died" is never a guess. What
is used is touched, so whatever was last used before the oldest user began is used by nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.cache.locked import locked
from imagebuilder.errors import WorkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FOLDER: Final = "in-use"
_USER, _QUIET = "user-", "quiet-"


@contextlib.contextmanager
def in_use(cache_dir: Path, *, quiet: bool = False) -> Iterator[None]:
    """Say that this cache is used from now on; a `quiet` user does not touch the images that it relies on.

    BuildKit is quiet: told that a layer is there, it does not send it, and nothing says that it was told so.

    Raises:
        WorkError: its folder cannot be written to.
    """
    try:
        folder = use_folder(cache_dir)
        with locked(folder / ".lock"):  # a file is never seen without its lock, nor made while something is removed
            descriptor, name = tempfile.mkstemp(dir=folder, prefix=_QUIET if quiet else _USER)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise WorkError(
            f"the cache {cache_dir} cannot be used: {error.strerror or error}",
            hint="set cache_dir, or IMAGEBUILDER_CACHE_DIR, to a folder you may write to",
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        os.close(descriptor)


@dataclass(frozen=True)
class Users:
    """When the oldest user began, in seconds since the epoch, if there is one; whether one is quiet."""

    since: float | None = None
    quiet: bool = False


def users(cache_dir: Path) -> Users:
    """The users that live; the files of those that died are removed. The caller holds the folder's lock."""
    since: float | None = None
    quiet = False
    for path in use_folder(cache_dir).iterdir():
        if not path.name.startswith((_USER, _QUIET)):
            continue
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # it has just ended
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            began = os.fstat(descriptor).st_mtime
            since = began if since is None else min(since, began)
            quiet |= path.name.startswith(_QUIET)
        else:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    return Users(since, quiet)


def use_folder(cache_dir: Path) -> Path:
    """Where users are told of; made where missing."""
    folder = cache_dir / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def touch(paths: Iterable[Path]) -> None:
    """Mark files as used now."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.utime(path)
