"""What a container task does before and after its container, wherever that runs: in the client's process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.context.current import Context, ContextData
from tasksdk.errors import IgnoreOutputs
from tasksdk.literals import to_value_aio
from tasksdk.task.base import Task
from tasksdk.task.container import ContainerTask
from tasksdk.task.dispatch import dispatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasksdk.context.current import TaskContext
    from tasksdk.literals import Literals

_HOOKS = ("pre", "post", "pre_execute", "post_execute")


def hooked(task: Task) -> bool:
    """Whether it is a container task that does anything then."""
    return isinstance(task, ContainerTask) and any(
        getattr(type(task), name) is not getattr(Task, name) or name in vars(task) for name in _HOOKS
    )


async def run_hooked(
    task: Task,
    context: TaskContext,
    literals: Literals,
    run: Callable[[Task, TaskContext, Literals], Awaitable[Literals | None]],
) -> Literals | None:
    """Dispatch the task as it is dispatched here, with the attempt on the engine for its body."""
    interface = task.native_interface

    async def on_the_engine(**_inputs: Any) -> Any:
        found = await run(task, context, literals) or {}
        values = {}
        for name, kind in interface.outputs.items():
            values[name] = await to_value_aio(found[name], kind, f"{task.name}: output {name}", context)
        return interface.join_outputs(values)

    here = task.override()
    here.__dict__["execute"] = on_the_engine
    try:
        return await dispatch(here, Context(ContextData(context)), literals)
    except IgnoreOutputs:
        return None
