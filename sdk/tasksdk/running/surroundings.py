"""The variables and secrets of a task that runs in this process."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tasksdk.engines.mounted import mounted
from tasksdk.running.environ import variables
from tasksdk.running.secret_values import secret_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasksdk.task.base import Task


@contextmanager
def surroundings(task: Task) -> Iterator[None]:
    """Let the task see its variables and secrets, and nobody else; mounted files are gone afterwards."""
    shown = dict(task.env_vars)
    with ExitStack() as stack:
        for secret in secret_values(task.secrets, f"task {task.name}"):
            if secret.variable is not None:
                shown[secret.variable] = secret.reveal()
            if secret.mount is not None:
                stack.enter_context(mounted(secret, secret.mount))
        stack.enter_context(variables(shown))
        yield
