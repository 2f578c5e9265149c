"""From a resolver's location on the command line to the resolver."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasksdk.errors import TaskNotFoundError

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


def find(location: str, what: str) -> Any:
    """The object at `module.name`, or at `module.Class.name`."""
    module_name, _, rest = location.rpartition(".")
    names = [rest]
    while module_name:
        try:
            value: Any = import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not (module_name == error.name or module_name.startswith(f"{error.name}.")):
                raise
            module_name, _, rest = module_name.rpartition(".")
            names.insert(0, rest)
            continue
        for name in names:
            if not hasattr(value, name):
                raise TaskNotFoundError(f"there is no {what} {location}: {module_name} has no {'.'.join(names)}")
            value = getattr(value, name)
        return value
    raise TaskNotFoundError(f"there is no {what} {location}: no such module can be imported")
