"""The port between a call's bookkeeping and the place where its body runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tasksdk.context.current import TaskContext
    from tasksdk.literals import Literals
    from tasksdk.task.base import Task


class Body(Protocol):
    """Runs one attempt of a task on literals; `waits` says whether it does so on an event loop."""

    waits: bool

    async def run(self, task: Task, context: TaskContext, literals: Literals) -> Literals | None:
        """The outputs; None where the task says that they are to be ignored.

        Raises whatever the task raised, a `TaskTimeoutError` when it ran longer than its settings allow.
        """

    async def wait(self, seconds: float) -> None:
        """Let time pass before the next attempt."""
