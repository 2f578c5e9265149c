"""From a dotted name to the object."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tasksdk.errors import TaskNotFoundError


def find(location: str, what: str) -> Any:
    """The object at `module.name`, or at `module.Class.name`.

    Raises:
        TaskNotFoundError: there is none; `what` says in the message what was looked for.
    """
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
