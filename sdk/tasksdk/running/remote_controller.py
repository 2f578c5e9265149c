"""Runs the tasks that a running task calls on an engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tasksdk.running.calls import perform
from tasksdk.running.local_controller import LocalController

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasksdk.engines.port import Engine
    from tasksdk.running.engine_body import EngineBody
    from tasksdk.running.engine_loop import EngineLoop, Work
    from tasksdk.running.run_state import RunState
    from tasksdk.task.base import Task


class RemoteController:
    """Performs every call on the engines' event loop, whatever thread it comes from."""

    def __init__(self, state: RunState, body: EngineBody, loop: EngineLoop) -> None:
        self.state = state
        self.body = body
        self._loop = loop
        self._calls: set[Work] = set()
        self._reopen: Callable[[Engine], tuple[EngineLoop, Engine]] | None = None

    def start(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Work:
        """Start a call."""
        if self._reopen is not None:
            # Only now: most of what runs in a child of this process calls no other task.
            self._loop, engine = self._reopen(self.body.engine)
            self.body.after_fork(engine)
            self._reopen = None
        work = self._loop.submit(perform(self.state, self.body, task, args, kwargs))
        self._calls.add(work)
        work.future.add_done_callback(lambda _: self._calls.discard(work))
        return work

    def call(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The task's value, or a coroutine of it for an asynchronous task."""
        if task.is_async:
            return self.call_aio(task, args, kwargs)
        work = self.start(task, args, kwargs)
        try:
            return work.future.result()
        except BaseException:
            # Where this thread was interrupted, so is the attempt.
            work.cancel()
            raise

    async def call_aio(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The task's value."""
        work = self.start(task, args, kwargs)
        try:
            return await asyncio.shield(asyncio.wrap_future(work.future))
        except asyncio.CancelledError:
            work.cancel()
            raise

    def abort(self, reason: str) -> None:
        """End every call that runs."""
        self.body.abort(reason)
        for work in list(self._calls):
            work.cancel()

    def trace(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of a traced function, or a coroutine of it: it runs where its caller runs."""
        return LocalController(self.state, self).call(task, args, kwargs)

    def after_fork(self) -> None:
        """Use a loop, an engine and a database of this process's own."""
        from tasksdk.running.engine_loop import reopened

        LocalController(self.state).after_fork()
        self._calls = set()
        self._reopen = reopened

    def flush(self) -> None:
        """Let the engine go, and write what the record gathered."""
        if self._reopen is None:
            self._loop.close()
        LocalController(self.state).flush()
