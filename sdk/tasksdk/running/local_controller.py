"""Runs the tasks that a running task calls in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.running.calls import perform
from tasksdk.running.local_body import AsyncLocalBody, LocalBody
from tasksdk.task.dispatch import drive

if TYPE_CHECKING:
    from tasksdk.context.current import Controller
    from tasksdk.running.run_state import RunState
    from tasksdk.task.base import Task


class LocalController:
    """Performs every call here: synchronous tasks at once, asynchronous ones on the caller's event loop.

    What these call in turn goes to `children`, where it is given.
    """

    def __init__(self, state: RunState, children: Controller | None = None) -> None:
        self.state = state
        self._here = LocalBody(children or self)
        self._on_loop = AsyncLocalBody(children or self)

    def call(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The task's value, or a coroutine of it for an asynchronous task."""
        if task.is_async:
            return perform(self.state, self._on_loop, task, args, kwargs)
        return drive(perform(self.state, self._here, task, args, kwargs))

    async def call_aio(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The task's value; a synchronous task runs in a thread."""
        if task.is_async:
            return await perform(self.state, self._on_loop, task, args, kwargs)
        from asyncio import to_thread

        return await to_thread(self.call, task, args, kwargs)

    def trace(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of a traced function, or a coroutine of it."""
        return self.call(task, args, kwargs)

    def after_fork(self) -> None:
        """Use a database of this process's own."""
        if self.state.database is not None:
            from tasksdk.store.database import database

            self.state.database = database(self.state.database.folder)

    def flush(self) -> None:
        """Write what the record gathered."""
        if self.state.database is not None:
            self.state.database.flush()
