"""Runs bodies in this process."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from tasksdk.context.current import Context, ContextData
from tasksdk.errors import IgnoreOutputs, TaskError
from tasksdk.task.dispatch import dispatch

if TYPE_CHECKING:
    from tasksdk.context.current import Controller, TaskContext
    from tasksdk.literals import Literals
    from tasksdk.task.base import Task


class LocalBody:
    """Calls the dispatch pipeline; what a task calls goes to `controller`."""

    waits = False

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    async def run(self, task: Task, context: TaskContext, literals: Literals) -> Literals | None:
        """Run the pipeline with the task's variables and secrets, bounded by its timeout."""
        inner = Context(ContextData(context, self.controller))
        bound = task.timeout.runtime_seconds
        with ExitStack() as stack:
            if (task.settings.env_vars or task.settings.secrets) and not task.runs_elsewhere:
                from tasksdk.running.surroundings import surroundings

                stack.enter_context(surroundings(task))
            stack.enter_context(inner)
            try:
                if bound is None or task.runs_elsewhere:
                    return await _performed(task, context, inner, literals)
                from tasksdk.running.killable import run_killable, run_killable_aio

                work = partial(_performed, task, context, inner, literals)
                if task.is_async:
                    return await run_killable_aio(bound, task.name, inner, work)
                return run_killable(bound, task.name, inner, work)
            except IgnoreOutputs:
                return None
            except SystemExit as left:
                # Raised further, it would end the client as well, and silently.
                text = f"task {task.name} called sys.exit({left.code!r}): a task ends by returning or by raising"
                raise TaskError(text, code="SystemExit") from left

    async def wait(self, seconds: float) -> None:
        """Sleep; a synchronous task holds its thread while it runs, and so while it waits."""
        time.sleep(seconds)  # noqa: ASYNC251 - the body of a synchronous task: see `AsyncLocalBody`


class AsyncLocalBody(LocalBody):
    """The same for asynchronous tasks: waiting leaves the event loop free."""

    waits = True

    async def wait(self, seconds: float) -> None:
        """Sleep on the event loop."""
        from asyncio import sleep

        await sleep(seconds)


async def _performed(task: Task, context: TaskContext, inner: Context, literals: Literals) -> Literals:
    try:
        return await dispatch(task, inner, literals)
    finally:
        _keep_report(task, context)


def _keep_report(task: Task, context: TaskContext) -> None:
    if task.report and not task.runs_elsewhere and context.output_path is not None:
        from tasksdk.types import storage

        storage.write(storage.join(context.output_path, "report.html"), context.report.html().encode())
