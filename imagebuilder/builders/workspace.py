"""Temporary folders that never outlive their use: not after an error, an interrupt, nor for long after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """A folder for one build below `parent`; folders of processes that died are removed on the way in.

    Each holds a lock for as long as its process lives (flock(2)), so that "died" is never a guess.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix="build-", dir=parent))
    lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        inner = folder / "work"
        inner.mkdir()
        yield inner
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _sweep(parent: Path) -> None:
    for folder in parent.glob("build-*"):
        try:
            lock = os.open(folder / ".lock", os.O_RDWR)
        except OSError:
            continue  # being made or removed by someone else
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass  # in use
        finally:
            os.close(lock)
