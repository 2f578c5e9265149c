"""Secrets as files on this machine, there while a task runs."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tasksdk.engines.undertaker import Undertaker
from tasksdk.errors import TaskDefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasksdk.engines.attempt import SecretValue

_users: dict[str, tuple[str, int, list[str]]] = {}
_lock = threading.Lock()
# Removes the files where this process is killed; one for each process, as a forked one has none of its own.
_undertakers: dict[int, Undertaker] = {}


@contextmanager
def mounted(secret: SecretValue, path: str) -> Iterator[None]:
    """Write the value to the path, for this user alone, and remove it after the last task that needs it.

    Raises:
        TaskDefinitionError: something else is there, or nothing may be written there.
    """
    with _lock:
        value, users, made = _users.get(path, (secret.reveal(), 0, []))
        if value != secret.reveal():
            raise TaskDefinitionError(
                f"secret {secret.key!r}: another one is mounted at {path} by a task that runs now"
            )
        undertaker = _undertaker()
        if users == 0:
            made = _missing(path)
            _write(secret, path, undertaker)
        _users[path] = (value, users + 1, made)
    try:
        yield
    finally:
        with _lock:
            value, users, made = _users.pop(path)
            if users > 1:
                _users[path] = (value, users - 1, made)
            else:
                with suppress(FileNotFoundError):  # the task may have removed it
                    os.unlink(path)  # noqa: PTH108 - beside os.open
                undertaker.forget(os.path.abspath(path))  # noqa: PTH100 - as above
                for folder in made:
                    with suppress(OSError):
                        os.rmdir(folder)  # noqa: PTH106 - as above


def _undertaker() -> Undertaker:
    found = _undertakers.get(os.getpid())
    if found is None:
        import atexit

        found = _undertakers[os.getpid()] = Undertaker()
        atexit.register(found.close)
    return found


def _missing(path: str) -> list[str]:
    """The folders above it that are not there, the innermost first."""
    found, folder = [], os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 - beside os.open
    while not os.path.lexists(folder):
        found.append(folder)
        folder = os.path.dirname(folder)  # noqa: PTH120 - as above
    return found


def _write(secret: SecretValue, path: str, undertaker: Undertaker) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - beside os.open
        if not os.path.lexists(path):
            undertaker.keep(os.path.abspath(path))  # noqa: PTH100 - as above
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise TaskDefinitionError(
            f"secret {secret.key!r} cannot be mounted at {path} on this machine: {error.strerror}",
            hint="mount it where you may write, or run the task in its image",
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secret.reveal())
