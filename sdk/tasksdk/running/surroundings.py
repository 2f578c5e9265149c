"""The variables and secrets of a task that runs in this process."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tasksdk.errors import TaskDefinitionError
from tasksdk.running.environ import variables
from tasksdk.running.secret_values import secret_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasksdk.engines.attempt import SecretValue
    from tasksdk.task.base import Task

_mounted: dict[str, tuple[str, int]] = {}
_mounting = threading.Lock()


@contextmanager
def surroundings(task: Task) -> Iterator[None]:
    """Let the task see its variables and secrets, and nobody else; mounted files are gone afterwards."""
    shown = dict(task.env_vars)
    with ExitStack() as stack:
        for secret in secret_values(task.secrets, f"task {task.name}"):
            if secret.variable is not None:
                shown[secret.variable] = secret.reveal()
            if secret.mount is not None:
                stack.enter_context(_file(secret, secret.mount))
        stack.enter_context(variables(shown))
        yield


@contextmanager
def _file(secret: SecretValue, path: str) -> Iterator[None]:
    with _mounting:
        value, users = _mounted.get(path, (secret.reveal(), 0))
        if value != secret.reveal():
            raise TaskDefinitionError(
                f"secret {secret.key!r}: another secret is mounted at {path} by a task that runs now"
            )
        if users == 0:
            _write(secret, path)
        _mounted[path] = (value, users + 1)
    try:
        yield
    finally:
        with _mounting:
            value, users = _mounted.pop(path)
            if users > 1:
                _mounted[path] = (value, users - 1)
            else:
                os.unlink(path)  # noqa: PTH108 - beside os.open


def _write(secret: SecretValue, path: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - beside os.open
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise TaskDefinitionError(
            f"secret {secret.key!r} cannot be mounted at {path} on this machine: {error.strerror}",
            hint="mount it where you may write, or run the task in its image",
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secret.reveal())
