"""What runs tasks of certain types; a type that nothing claims is run as a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tasksdk.errors import TaskDefinitionError, TaskTimeoutError
from tasksdk.literals import from_map_message, map_message
from tasksdk.task.serialization import SerializationContext

if TYPE_CHECKING:
    from flyteidl2.core.literals_pb2 import LiteralMap
    from flyteidl2.core.tasks_pb2 import TaskTemplate

    from tasksdk.context.current import TaskContext
    from tasksdk.literals import Literals
    from tasksdk.task.base import Task

ENTRY_POINTS = "tasksdk.plugins"


class TaskPlugin(Protocol):
    """Does the work of a task without a container: a query in a warehouse, a job of another system."""

    async def run(self, template: TaskTemplate, inputs: LiteralMap) -> LiteralMap | None:
        """The outputs, from what the template says; it is cancelled when the task is aborted or runs too long."""


_claimed: dict[str, TaskPlugin] = {}


def register_plugin(task_type: str, plugin: TaskPlugin) -> None:
    """Claim a type of tasks for a plugin.

    Raises:
        TaskDefinitionError: another plugin has claimed it.
    """
    if _claimed.get(task_type, plugin) is not plugin:
        raise TaskDefinitionError(
            f"task type {task_type!r} is claimed by {_claimed[task_type]!r}", hint="call yours by another name"
        )
    _claimed[task_type] = plugin


def plugin_for(task_type: str) -> TaskPlugin | None:
    """The plugin that claims a type, registered here or announced by a distribution; None for containers."""
    if task_type in _claimed:
        return _claimed[task_type]
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS, name=task_type):
        register_plugin(task_type, point.load()())
        return _claimed[task_type]
    return None


async def run_by_plugin(plugin: TaskPlugin, task: Task, context: TaskContext, literals: Literals) -> Literals | None:
    """One attempt, within the task's bound.

    Raises:
        TaskTimeoutError: it ran longer.
    """
    import asyncio

    sctx = SerializationContext(
        version=context.version,
        input_path=context.input_path or "",
        output_path=context.output_path or "",
        raw_data_path=context.raw_data,
    )
    bound = task.timeout.runtime_seconds
    try:
        outputs = await asyncio.wait_for(plugin.run(task.to_template(sctx), map_message(literals)), bound)
    except asyncio.TimeoutError:
        raise TaskTimeoutError(f"task {task.name} ran longer than {bound:g} s", code="Timeout") from None
    return None if outputs is None else from_map_message(outputs)
