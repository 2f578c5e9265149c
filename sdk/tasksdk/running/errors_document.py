"""The error document of an attempt, as the exception that the client raises."""

from __future__ import annotations

from tasksdk.errors import OutOfMemoryError, TaskError


def task_error(document: bytes, where: str) -> TaskError:
    """The exception, with the remote traceback."""
    from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument

    error = ErrorDocument.FromString(document).error
    lines = error.message.strip().splitlines() or [error.code]
    summary = next((line for line in reversed(lines) if line and not line[0].isspace()), lines[-1])
    recoverable = error.kind == ContainerError.RECOVERABLE
    kind = OutOfMemoryError if error.code == "OutOfMemory" else TaskError
    return kind(f"{where} failed: {summary}", code=error.code, traceback=error.message, recoverable=recoverable)
