"""From a resolver's location on the command line to the resolver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasksdk.errors import TaskNotFoundError
from tasksdk.task.locate import find

if TYPE_CHECKING:
    from tasksdk.task.resolver import TaskResolverMixin

# The names under which command lines of the older API know them.
_ALIASES = {
    "flytekit.core.python_auto_container.default_task_resolver": "tasksdk.task.resolver.default_task_resolver",
    "flytekit.core.python_customized_container_task.default_task_template_resolver": (
        "tasksdk.task.template_resolver.default_task_template_resolver"
    ),
}


def find_resolver(location: str) -> TaskResolverMixin:
    """The resolver at `module.name`, an instance or a class that is made without arguments.

    Raises:
        TaskNotFoundError: there is none.
    """
    found = find(_ALIASES.get(location, location), "resolver")
    if isinstance(found, type):
        found = found()
    if not callable(getattr(found, "load_task", None)):
        raise TaskNotFoundError(f"{location} is not a task resolver: it has no load_task")
    resolver: TaskResolverMixin = found
    return resolver
