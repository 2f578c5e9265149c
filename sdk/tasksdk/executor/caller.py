"""What a task on an engine calls: actions of the run, which the client runs as it runs the first one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tasksdk.context.current import current
from tasksdk.executor.post import Post
from tasksdk.literals import check_size
from tasksdk.running.calls import literals_of, value_of
from tasksdk.running.local_controller import LocalController
from tasksdk.running.run_state import RunState
from tasksdk.running.traced import write_row
from tasksdk.task.dispatch import drive
from tasksdk.wire import read_map, write_map

if TYPE_CHECKING:
    from tasksdk.context.current import TaskContext
    from tasksdk.executor.post import Sent
    from tasksdk.store.rows import ActionRow
    from tasksdk.task.base import Task


class Caller:
    """Hands every call to the client; traced functions run here, and are told to it when they have ended."""

    def __init__(self, context: TaskContext) -> None:
        assert context.output_path is not None
        self._context = context
        self._post = Post(context.output_path)
        self._traced = LocalController(_Steps(context, self._post), self)

    def call(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The task's value, or a coroutine of it for an asynchronous task."""
        if task.is_async:
            return self.call_aio(task, args, kwargs)
        return drive(self._called(task, args, kwargs, waits=False))

    async def call_aio(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The task's value; the event loop goes on meanwhile."""
        return await self._called(task, args, kwargs, waits=True)

    def trace(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of a traced function, or a coroutine of it."""
        return self._traced.trace(task, args, kwargs)

    def close(self) -> None:
        """Tell what is left to tell; calls that still run end with the attempt."""
        self._post.close()

    async def _called(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any], *, waits: bool) -> Any:
        from tasksdk.running.request import request_of

        task.warn_when_deprecated()
        caller = current().task_context or self._context
        literals = await literals_of(task, args, kwargs, caller, waits=waits)
        inputs = write_map(literals)
        check_size(task, inputs, "inputs")
        sent = self._post.send(inputs, lambda where: request_of(task, caller, where))
        answer = await self._awaited(sent) if waits else self._waited_for(sent)
        outputs = None if answer is None else read_map(answer)
        return await value_of(task, outputs, caller, waits=waits)

    def _waited_for(self, sent: Sent) -> bytes | None:
        try:
            return sent.future.result()
        except BaseException:
            self._post.cancel(sent)
            raise

    async def _awaited(self, sent: Sent) -> bytes | None:
        try:
            return await asyncio.shield(asyncio.wrap_future(sent.future))
        except asyncio.CancelledError:
            self._post.cancel(sent)
            raise


class _Steps(RunState):
    """Names the traced functions' calls, and tells each to the client once it has ended."""

    def __init__(self, context: TaskContext, post: Post) -> None:
        action = context.action
        raw_data = context.raw_data.removesuffix(f"/{action.name}/data")
        super().__init__(
            action.run_name, context.run_base_dir, context.mode, None, version=context.version, raw_data=raw_data
        )
        self._post = post

    def put(self, row: ActionRow) -> None:
        """Tell an action that has ended."""
        if row.ended is not None:
            self._post.tell(write_row(row))
