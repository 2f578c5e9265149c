"""A failure on its way to the attempt that made the call: what the client raises, raised there again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasksdk import errors
from tasksdk.errors import TaskError, TaskSdkError, task_error_for
from tasksdk.task.traceback import user_traceback
from tasksdk.wire import plain, read_map, read_plain, write_map

if TYPE_CHECKING:
    from collections.abc import Callable


def write_failure(error: BaseException, where: str, mask: Callable[[str], str]) -> bytes:
    """A serialized `LiteralMap` of what the error says; `mask` keeps values of secrets out of it."""
    told = error if isinstance(error, TaskSdkError) else _as_task_error(error, where)
    fields = {
        "kind": next(kind.__name__ for kind in type(told).__mro__ if kind.__module__ == errors.__name__),
        "message": mask(told.message),
        "hint": None if told.hint is None else mask(told.hint),
        "code": getattr(told, "code", ""),
        "traceback": mask(getattr(told, "traceback", "")),
        "recoverable": getattr(told, "recoverable", True),
    }
    return write_map({name: plain(value) or b"" for name, value in fields.items()})


def read_failure(document: bytes) -> TaskSdkError:
    """The error to raise."""
    fields = {name: read_plain(literal) for name, literal in read_map(document).items()}
    kind: type[TaskSdkError] = getattr(errors, fields["kind"])
    if not issubclass(kind, TaskError):
        return kind(fields["message"], hint=fields["hint"])
    made = (task_error_for(fields["code"]) if kind is TaskError else kind)(
        fields["message"], hint=fields["hint"], code=fields["code"], traceback=fields["traceback"]
    )
    made.recoverable = fields["recoverable"]
    return made


def _as_task_error(error: BaseException, where: str) -> TaskError:
    """What a plugin or a file system of the client's raised."""
    return TaskError(f"{where} failed: {error}", code=type(error).__name__, traceback=user_traceback(error))
