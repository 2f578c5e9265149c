"""A call that a running attempt asks its client for, as a document, and as the task that the client then runs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from flyteidl2.workflow.queue_service_pb2 import EnqueueActionRequest

from tasksdk.context.current import ActionID, GroupData
from tasksdk.errors import TaskDefinitionError
from tasksdk.script import module_here
from tasksdk.task.base import Task
from tasksdk.task.code_version import version_of
from tasksdk.task.deployed import deployed
from tasksdk.task.resolver import place_of
from tasksdk.task.serialization import SerializationContext
from tasksdk.task.template_settings import settings_of
from tasksdk.values.settings import TaskSettings

if TYPE_CHECKING:
    from tasksdk.context.current import TaskContext

_LOCATION, _OVERRIDDEN, _IMAGE = "tasksdk/location", "tasksdk/overridden", "tasksdk/image"
_CUSTOM = "tasksdk/custom-context/"
_OPEN = "known-by-the-client"
_BY_DEFAULT, _SPEC = "auto", "spec"


def request_of(task: Task, caller: TaskContext, inputs: str) -> bytes:
    """A serialized `EnqueueActionRequest`, with the task's template and where its module has it.

    The reference of an image that is a spec is left open: its files are the client's.
    """
    request = EnqueueActionRequest(parent_action_name=caller.action.name, input_uri=inputs)
    request.action_id.run.name = caller.action.run_name
    if caller.group_data is not None:
        request.group = caller.group_data.name
    notes, image = request.run_spec.annotations.values, task.settings.image
    for name, value in caller.custom_context.items():
        notes[_CUSTOM + name] = value
    place = place_of(task)
    if place is not None:
        notes[_LOCATION] = ":".join(place)
        notes[_OVERRIDDEN] = " ".join(_overridden(task))
    if image is None or image == "auto":
        notes[_IMAGE] = _BY_DEFAULT
    elif not isinstance(image, str):
        notes[_IMAGE] = _SPEC
    told = task.with_settings(task.settings.replace(image=_OPEN)) if _IMAGE in notes else task
    version = version_of(task) if place is None else ""
    spec = request.task.spec
    spec.task_template.CopyFrom(told.to_template(SerializationContext(version=version)))
    spec.short_name = task.short_name
    return request.SerializeToString(deterministic=True)


def caller_of(request: EnqueueActionRequest, parent: TaskContext) -> TaskContext:
    """The context that the call was made in: that of the attempt, with what the attempt changed of it."""
    notes = request.run_spec.annotations.values
    return parent.replace(
        action=ActionID(request.parent_action_name, parent.action.run_name),
        group_data=GroupData(request.group) if request.group else None,
        custom_context={name[len(_CUSTOM) :]: text for name, text in notes.items() if name.startswith(_CUSTOM)},
    )


def task_of(request: EnqueueActionRequest) -> Task:
    """The client's own task with what the attempt overrode; where it has none, the one that the template says.

    Raises:
        TaskDefinitionError: the image is a spec that the client cannot read.
    """
    spec, notes = request.task.spec, request.run_spec.annotations.values
    own = _own(notes.get(_LOCATION, ""), spec.task_template.id.name, spec.task_template.type)
    if own is not None:
        names = notes[_OVERRIDDEN].split()
        if not names:
            return own
        given = {**settings_of(spec.task_template), "short_name": spec.short_name}
        return own.with_settings(own.settings.replace(**{name: given[name] for name in names if name in given}))
    found: Task = deployed(spec)
    if _IMAGE not in notes:
        return found
    if notes[_IMAGE] == _SPEC:
        module = notes.get(_LOCATION, "").partition(":")[0]
        where = f"its module {module} cannot be imported there" if module else "it is no task of a module"
        raise TaskDefinitionError(
            f"task {found.name}: the client does not know its image, as {where}",
            hint="define it at the top level of a module of the project, or write the image's reference",
        )
    return found.with_settings(found.settings.replace(image=None))


def _overridden(task: Task) -> list[str]:
    """The settings in which an override differs from what its module has."""
    origin = task.origin
    assert isinstance(origin, Task)
    if origin is task:
        return []
    mine, first = task.settings, origin.settings
    return [name for name in TaskSettings.fields if getattr(mine, name) != getattr(first, name)]


def _own(location: str, name: str, task_type: str) -> Task | None:
    module_name, _, variable = location.partition(":")
    if not module_name:
        return None
    module_name = module_here(module_name, variable)
    try:
        module = sys.modules.get(module_name) or import_module(module_name)
    except Exception:  # noqa: BLE001 - it may need what its image alone has
        return None
    found = getattr(module, variable, None)
    same = isinstance(found, Task) and (found.name, found.task_type) == (name, task_type)
    return found if same else None
