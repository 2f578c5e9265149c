"""Temporary folders that never outlive their use: not after an error, an interrupt, nor for long after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.cache.locked import locked

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "build-"


@contextlib.contextmanager
def workspace(parent: Path, key: str | None = None) -> Iterator[Path]:
    """A folder for one build below `parent`; folders of processes that died are removed on the way in.

    It has the same path each time for one `key`, unless that is in use: BuildKit keeps what it was sent by the path.

    Each holds a lock for as long as its process lives (flock(2)), so that "died" is never a guess.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with locked(parent / ".lock"):  # a folder is never seen without its lock
        _sweep(parent)
        folder = _make(parent, key)
        own = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(own, fcntl.LOCK_EX)
    try:
        inner = folder / "work"
        inner.mkdir()
        yield inner
    finally:
        _remove(parent, folder)
        os.close(own)


def _remove(parent: Path, folder: Path) -> None:
    gone = folder.with_name(f"{folder.name}-{os.getpid()}-{threading.get_ident()}")
    # Its path is free at once for the next build, which may begin while this one is still being removed.
    try:
        with locked(parent / ".lock"):
            folder.rename(gone)
    except OSError:
        gone = folder
    shutil.rmtree(gone, ignore_errors=True)


def _make(parent: Path, key: str | None) -> Path:
    if key is not None:
        folder = parent / f"{_PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            return folder
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder / ".lock", os.O_RDWR)
        except FileNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)  # killed between making the folder and its lock
            continue
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass  # in use
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
