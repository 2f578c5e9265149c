"""How a task is found again in another process."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from tasksdk.errors import TaskDefinitionError, TaskNotFoundError

if TYPE_CHECKING:
    from tasksdk.task.base import Task
    from tasksdk.task.serialization import SerializationContext


class TaskResolverMixin:
    """Turns a task into arguments, and these arguments into the task again; users write their own."""

    @property
    def location(self) -> str:
        """`module.name` of this resolver, by which an executor imports it: an instance's variable, or the class."""
        kind = type(self)
        module = sys.modules.get(kind.__module__)
        for name, value in vars(module).items() if module is not None else ():
            if value is self:
                return f"{kind.__module__}.{name}"
        return f"{kind.__module__}.{kind.__qualname__}"

    def name(self) -> str:
        """What this resolver is called."""
        return type(self).__name__

    def load_task(self, loader_args: list[str]) -> Task:
        """The task of these arguments."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it loads a task")

    def loader_args(self, settings: SerializationContext, t: Task) -> list[str]:
        """Arguments from which `load_task` finds the task."""
        raise NotImplementedError(f"{type(self).__name__} does not say by what it finds a task")

    def get_all_tasks(self) -> list[Task]:
        """Every task that this resolver knows."""
        raise NotImplementedError(f"{type(self).__name__} keeps no list of tasks")

    def task_name(self, t: Task) -> str | None:  # noqa: ARG002 - for subclasses
        """A name of its own for a task; None for the task's."""
        return None


class DefaultTaskResolver(TaskResolverMixin):
    """Finds a task by its module and the name it has there."""

    def name(self) -> str:
        """What this resolver is called."""
        return "default_task_resolver"

    def load_task(self, loader_args: list[str]) -> Task:
        """Import the module and take the name out of it."""
        from tasksdk.task.base import Task

        if len(loader_args) != 4 or (loader_args[0], loader_args[2]) != ("task-module", "task-name"):
            raise TaskNotFoundError(
                f"{' '.join(loader_args)!r} names no task", hint="write: -- task-module MODULE task-name NAME"
            )
        _, module_name, _, task_name = loader_args
        found = getattr(import_module(module_name), task_name, None)
        if not isinstance(found, Task):
            what = "has no" if found is None else "has no task, but another object,"
            raise TaskNotFoundError(f"module {module_name} {what} {task_name!r}")
        return found

    def loader_args(self, settings: SerializationContext, t: Task) -> list[str]:
        """The task's module, and the variable or function it is there."""
        module, name = known_place_of(t)
        return ["task-module", _importable(module, settings.root_dir), "task-name", name]

    def get_all_tasks(self) -> list[Task]:
        """Every task at the top level of a loaded module."""
        from tasksdk.task.base import Task

        modules = [vars(module) for module in list(sys.modules.values()) if hasattr(module, "__dict__")]
        found = {id(value): value for names in modules for value in list(names.values()) if isinstance(value, Task)}
        return list(found.values())


def place_of(task: Task) -> tuple[str, str] | None:
    """The module that has the task, or what it is an override of, and the name it has there; None where none has."""
    module_name = task.instantiated_in
    module = sys.modules.get(module_name or "")
    function = getattr(task, "__name__", None)
    name = function if function is not None and getattr(module, function, None) is task.origin else task.find_lhs()
    return None if module is None or module_name is None or name is None else (module_name, name)


def known_place_of(task: Task) -> tuple[str, str]:
    """The same.

    Raises:
        TaskDefinitionError: no module has it.
    """
    place = place_of(task)
    if place is None:
        raise TaskDefinitionError(
            f"task {task.name} cannot be found by another process: no module has it under a name",
            hint="define it at the top level of a module, or give it a resolver of your own",
        )
    return place


def _importable(module_name: str, root_dir: str | None) -> str:
    """The name under which a module is imported; for a script, from where it lies below the root."""
    if module_name != "__main__":
        return module_name
    from tasksdk.script import script_name

    name = script_name(root_dir)
    if name is None:
        raise TaskDefinitionError(
            "a task of an interactive session cannot be found by another process", hint="put it in a file"
        )
    return name


default_task_resolver = DefaultTaskResolver()
