"""Tasks inside pickles: by where they are found, never by their code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tasksdk.errors import TaskNotFoundError
from tasksdk.script import MAIN, module_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasksdk.task.base import Task
    from tasksdk.values.settings import TaskSettings


def reduced(task: Task) -> tuple[Callable[..., Task], tuple[Any, ...]]:
    """What finds the task again, wherever the pickle is read; an override keeps its settings.

    Raises:
        TaskDefinitionError: no other process can find it.
    """
    from tasksdk.task.resolver import default_task_resolver, known_place_of
    from tasksdk.task.serialization import SerializationContext

    changed = task.settings if task.origin is not task else None
    resolver = task.task_resolver
    if resolver is not default_task_resolver:
        return _by_resolver, (resolver.location, resolver.loader_args(SerializationContext(), task), changed)
    return _by_name, (*known_place_of(task), changed)


def _by_name(module: str, name: str, settings: TaskSettings | None) -> Task:
    from importlib import import_module

    from tasksdk.task.base import Task

    place = module_here(module, name)
    found = getattr(sys.modules[MAIN] if place == MAIN else import_module(place), name, None)
    if not isinstance(found, Task):
        raise TaskNotFoundError(f"module {place} has no task {name!r}")
    return _with(found, settings)


def _by_resolver(location: str, arguments: list[str], settings: TaskSettings | None) -> Task:
    from tasksdk.task.locate import find

    found = find(location, "resolver")
    return _with((found() if isinstance(found, type) else found).load_task(arguments), settings)


def _with(task: Task, settings: TaskSettings | None) -> Task:
    if settings is None:
        return task
    changed = task.override()
    changed.settings = settings
    return changed
