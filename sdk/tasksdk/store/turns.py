"""Turns: of several identical calls at the same time, one works and the others wait for it."""

from __future__ import annotations

import os
from contextlib import suppress

from tasksdk.store.trouble import trouble

_held: set[int] = set()


def _let_go() -> None:
    """In a fork of this process, which would keep the turns of a killed one for as long as it lives."""
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


class Turn:
    """A key's turn among the threads and the processes of this machine; the kernel takes it from a killed process."""

    def __init__(self, folder: str, key: bytes) -> None:
        turns = os.path.join(folder, "turns")  # noqa: PTH118 - pathlib takes longer to import
        self._path = os.path.join(turns, key.hex())  # noqa: PTH118 - as above
        try:
            os.makedirs(turns, mode=0o700, exist_ok=True)  # noqa: PTH103 - as above
        except OSError as error:
            raise trouble(turns, error) from None
        self._handle: int | None = None

    def try_enter(self) -> bool:
        """Take the turn, if nobody has it.

        Raises:
            StoreError: its file cannot be made.
        """
        import fcntl

        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise trouble(self._path, error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it removed the file on leaving: a lock on a removed file is nobody's turn.
            mine = os.fstat(handle).st_ino == os.stat(self._path).st_ino  # noqa: PTH116 - as above
        except (BlockingIOError, FileNotFoundError):
            mine = False
        if mine:
            self._handle = handle
            _held.add(handle)
        else:
            os.close(handle)
        return mine

    def leave(self) -> None:
        """Give the turn to the next."""
        if self._handle in _held:
            _held.remove(self._handle)
            with suppress(FileNotFoundError):  # somebody may have cleared the folder
                os.unlink(self._path)  # noqa: PTH108 - as above
            os.close(self._handle)
            self._handle = None
