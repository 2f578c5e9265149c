"""What came of an attempt: its outputs, or the exception that its end means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasksdk.engines.attempt import Exit, ExitReason, Phase
from tasksdk.errors import (
    OutOfMemoryError,
    TaskAbortedError,
    TaskError,
    TaskOutputError,
    TaskSdkError,
    TaskTimeoutError,
)
from tasksdk.running.errors_document import task_error
from tasksdk.types import storage
from tasksdk.wire import WireError, read_map

if TYPE_CHECKING:
    from imagebuilder.spec.redact import Redactor
    from tasksdk.context.current import TaskContext
    from tasksdk.literals import Literals
    from tasksdk.running.container_files import BroughtFiles, FolderFiles
    from tasksdk.task.base import Task

_FINAL = {ExitReason.IMAGE_UNAVAILABLE, ExitReason.NOT_STARTED}


def refuse_end(where: str, ended: Exit) -> None:
    """Raise what an end means that the task itself did not tell about."""
    if ended.reason in {ExitReason.TIMED_OUT, ExitReason.QUEUED_TOO_LONG}:
        raise TaskTimeoutError(f"{where}: {ended.message}", code="Timeout")
    if ended.phase is Phase.ABORTED:
        raise TaskAbortedError(f"{where} was aborted: {ended.message}", code="Aborted", recoverable=False)
    if ended.reason is ExitReason.OUT_OF_MEMORY:
        raise OutOfMemoryError(f"{where} ran out of memory: {ended.message}", code="OutOfMemory")
    if ended.reason is not ExitReason.COMPLETED:
        final = ended.reason in _FINAL
        raise TaskError(
            f"{where} failed: {ended.message or ended.reason}", code=str(ended.reason), recoverable=not final
        )


def outcome_of(
    task: Task,
    context: TaskContext,
    ended: Exit,
    mask: Redactor,
    files: FolderFiles | BroughtFiles | None = None,
) -> Literals | None:
    """What came of an attempt: what its executor wrote, unless the engine knows better how it ended."""
    where, folder = f"task {task.name}", context.output_path
    assert folder is not None
    told = ended.reason in {ExitReason.ERROR, ExitReason.SIGNALED, ExitReason.COMPLETED}
    error = storage.join(folder, "error.pb")
    if told and storage.exists(error):
        raise task_error(storage.read(error), where, mask)
    if ended.reason is ExitReason.EVICTED and ended.code == 0 and _is_done(task, folder, files):
        ended = Exit(ExitReason.COMPLETED, 0)
    refuse_end(where, ended)
    if files is not None:
        return files.outputs()
    outputs = storage.join(folder, "outputs.pb")
    return _told_outputs(task, storage.read(outputs)) if storage.exists(outputs) else None


def _is_done(task: Task, folder: str, files: FolderFiles | BroughtFiles | None) -> bool:
    """Whether a task that said so, when it was asked to end, left what shows it: all of its outputs."""
    if files is None:
        return storage.exists(storage.join(folder, "outputs.pb"))
    try:
        return bool(task.native_interface.outputs) and bool(files.outputs())
    except (TaskSdkError, OSError):
        return False


def _told_outputs(task: Task, document: bytes) -> Literals:
    """The outputs of a document that anything may have written."""
    try:
        found = read_map(document)
    except (WireError, UnicodeDecodeError) as error:
        raise TaskOutputError(f"task {task.name}: the document of its outputs cannot be read: {error}") from None
    missing = [name for name in task.native_interface.outputs if name not in found]
    if missing:
        raise TaskOutputError(f"task {task.name} left no output {', '.join(missing)}")
    return found
