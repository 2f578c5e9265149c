"""What the calls of one run share: `RunState`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.running.names import ActionNames
from tasksdk.running.phases import SUCCEEDED
from tasksdk.values.settings import TaskSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasksdk.context.current import Mode, TaskContext
    from tasksdk.store.database import Database
    from tasksdk.store.rows import ActionRow
    from tasksdk.store.turns import Turn
    from tasksdk.task.base import Task


class RunState:
    """What the calls of one run share."""

    def __init__(
        self,
        name: str,
        folder: str,
        mode: Mode,
        database: Database | None,
        *,
        version: str = "",
        recompute: bool = False,
        code_bundle: Any = None,
        images: dict[str, str] | None = None,
        recorded: bool = True,
        custom_context: Mapping[str, str] | None = None,
        keeps: bool = True,
        raw_data: str | None = None,
        changes: TaskSettings | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.mode: Mode = mode
        self.database = database
        self.recorded = recorded
        self.version = version
        self.recompute = recompute
        self.code_bundle = code_bundle
        self.images = images if images is not None else {}
        self.custom_context = custom_context or {}
        self.keeps = keeps
        self.raw_data = raw_data or folder
        self._changes = None if changes == TaskSettings() else changes
        self.names = ActionNames()
        self.done: dict[str, ActionRow] = {}
        self.live: dict[str, TaskContext] = {}
        self.turn: Turn | None = None
        self._hidden: set[str] = set()

    def changed(self, task: Task) -> Task:
        """The task with what the run says over its own settings."""
        if self._changes is None:
            return task
        settings = self._changes.over(task.settings)
        return task.override(**{name: getattr(settings, name) for name in ("env_vars", "queue", "interruptible")})

    def recover(self) -> None:
        """Look up what an earlier process of this run has finished."""
        if self.database is not None:
            self.done = {row.name: row for row in self.database.actions(self.name) if row.phase == SUCCEEDED}

    def masked(self, task: Task, text: str) -> str:
        """The text of a failure without the values of the task's secrets, and of those that failed before it."""
        if task.secrets:
            from tasksdk.running.secret_values import known_values

            self._hidden |= known_values(task.secrets)
        if not self._hidden:
            return text
        from imagebuilder.spec.redact import Redactor

        return Redactor(self._hidden)(text)

    def put(self, row: ActionRow) -> None:
        """Record an action."""
        if self.database is not None and self.recorded:
            self.database.put_action(row)

    def keep(self) -> None:
        """Have all that was recorded so far on the disk."""
        if self.database is not None:
            self.database.flush()
