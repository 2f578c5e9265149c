"""One call outside any run, with promises in and out: the older API's way to run a task here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.errors import UserInputError
from tasksdk.literals import to_literal
from tasksdk.running.calls import Call
from tasksdk.running.local_body import AsyncLocalBody, LocalBody
from tasksdk.running.local_controller import LocalController
from tasksdk.running.names import new_run_name
from tasksdk.running.run_state import RunState
from tasksdk.store.database import database
from tasksdk.task.dispatch import drive
from tasksdk.task.node import Promise, VoidPromise, promised

if TYPE_CHECKING:
    from tasksdk.context.current import Context
    from tasksdk.task.base import Task


def local_execute(task: Task, context: Context | None, kwargs: dict[str, Any]) -> Any:
    """Run a task, consulting the cache; an awaitable of the same for an asynchronous task."""
    store, name = database(), new_run_name()
    state = RunState(name, f"{store.folder}/runs/{name}", "local", store, recorded=False)
    controller = LocalController(state)
    body = AsyncLocalBody(controller) if task.is_async else LocalBody(controller)
    interface = task.native_interface
    literals = {}
    for parameter, given in interface.bind((), kwargs, task.name).items():
        where = f"{task.name}: input {parameter}"
        if isinstance(given, VoidPromise):
            raise UserInputError(f"{where}: {given.task_name} has no outputs to pass on")
        kind = interface.inputs[parameter]
        literals[parameter] = _literal_of(given) if isinstance(given, Promise) else to_literal(given, kind, where)
    caller = None if context is None else context.data.task_context

    async def called() -> Any:
        outputs = await Call(state, body, task, literals, caller).outputs()
        return None if outputs is None else promised(task, outputs)

    return called() if task.is_async else drive(called())


def _literal_of(promise: Promise) -> bytes:
    if promise.literal is None:
        raise UserInputError(f"promise {promise.var} has no value: its task was recorded, not run")
    return promise.literal
