"""The error document of an attempt, as the exception that the client raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasksdk.errors import OutOfMemoryError, TaskError, task_error_for

if TYPE_CHECKING:
    from collections.abc import Callable


def task_error(document: bytes, where: str, mask: Callable[[str], str]) -> TaskError:
    """The exception, with the remote traceback; `mask` keeps values of secrets out of it."""
    from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument
    from google.protobuf.message import DecodeError

    try:
        error = ErrorDocument.FromString(document).error
    except DecodeError as unreadable:
        return TaskError(f"{where} failed, and its error document cannot be read: {unreadable}", code="NoErrorDocument")
    text = mask(error.message)
    lines = text.strip().splitlines() or [error.code]
    summary = next((line for line in reversed(lines) if line and not line[0].isspace()), lines[-1])
    recoverable = error.kind == ContainerError.RECOVERABLE
    kind = OutOfMemoryError if error.code == "OutOfMemory" else task_error_for(error.code)
    traceback = "" if lines == [summary] else text
    return kind(f"{where} failed: {summary}", code=error.code, traceback=traceback, recoverable=recoverable)
