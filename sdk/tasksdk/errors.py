"""Every error the task SDK raises on purpose.

    TaskSdkError
    ├── UserInputError (ValueError)      what the user wrote or passed is wrong; never retried
    │   ├── TaskDefinitionError             a task, environment or setting that cannot mean anything
    │   ├── TaskInputError                  a surplus, missing or ill-typed input
    │   ├── ConversionError (TypeError)     a value that is not of its type, or a literal that holds no value of it
    │   └── TaskNotFoundError (LookupError) a resolver, a name or a module that leads to no task
    ├── TaskError                        a task failed; carries the remote traceback where it ran somewhere else
    │   ├── TaskTimeoutError (TimeoutError) it ran, or waited, longer than it may
    │   ├── TaskAbortedError                somebody aborted it
    │   ├── OutOfMemoryError                its container needed more memory than it may have
    │   └── NonRecoverableError             raised by users: do not retry this
    ├── TaskOutputError                  a task returned what its interface does not say
    ├── EngineError                      an engine could not run, or could not be asked
    ├── StoreError                       the record of runs and kept results could not be read or written
    └── MissingDependencyError (ImportError) an extra is not installed

    IgnoreOutputs (Exception)            raised by users: this replica's outputs are not the task's

A message says what failed and why; `hint` says what to write next. Some have the newer API's names too:
RuntimeUserError is TaskError, OOMError is OutOfMemoryError, ActionAbortedError is TaskAbortedError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class TaskSdkError(Exception):
    """The root of the tree: `message` says what failed and why, `hint` what to do next."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UserInputError(TaskSdkError, ValueError):
    """What the user wrote or passed is wrong; trying again cannot help."""


class TaskDefinitionError(UserInputError):
    """A task, an environment or a setting that cannot mean anything, raised at the line that writes it."""


class TaskInputError(UserInputError, TypeError):
    """An input that is surplus, missing or not of its type."""


class ConversionError(UserInputError, TypeError):
    """A value that does not fit its type, or a literal that holds no value of it."""

    place = ""
    """The way into the value that is still to be named, such as `.items[3]`."""

    def named(self, subject: str) -> None:
        """Says whose value it is, and which part of it; once is enough."""
        if where := f"{subject}{self.place}".lstrip("."):
            self.message = f"{where}: {self.message}"
            self.args = (self.message,)
        self.place = ""


class TaskNotFoundError(UserInputError, LookupError):
    """A resolver, a name or a module that leads to no task."""


class TaskError(TaskSdkError):
    """A task that ran elsewhere failed.

    `code` is the name of the user's exception, or of what ended the task; `traceback` the remote one as text.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "TaskError",
        traceback: str = "",
        recoverable: bool = True,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.traceback = traceback
        self.recoverable = recoverable

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.traceback}" if self.traceback else super().__str__()


_UNFIT = (StopIteration, StopAsyncIteration, UnicodeError)
_kinds: dict[str, type[TaskError]] = {}


def task_error_for(code: str) -> type[TaskError]:
    """The class of a failure whose exception was of that name: one of Python's own can be caught as that, too."""
    if code not in _kinds:
        import builtins

        meant: Any = getattr(builtins, code, None)
        fits = isinstance(meant, type) and issubclass(meant, Exception) and not issubclass(meant, _UNFIT)
        kind: Any = TaskError
        if fits and meant is not Exception and not code.endswith("Group"):
            named = {"__module__": __name__, "__doc__": TaskError.__doc__, "__reduce__": _reduced}
            kind = type("TaskError", (TaskError, meant), named)
        _kinds[code] = kind
    return _kinds[code]


def _reduced(error: TaskError) -> Any:
    """How `pickle` writes an error whose class was made here."""
    return _rebuilt, (error.message, error.__dict__)


def _rebuilt(message: str, state: dict[str, Any]) -> TaskError:
    error = task_error_for(state["code"])(message)
    error.__dict__.update(state)
    return error


class TaskTimeoutError(TaskError, TimeoutError):
    """The task ran, or waited to run, longer than it may."""


class TaskAbortedError(TaskError):
    """Somebody aborted the task."""


class OutOfMemoryError(TaskError):
    """The task's container needed more memory than it may have."""


class NonRecoverableError(TaskError):
    """Raise it in a task whose failure no retry can mend."""

    def __init__(
        self, message: str = "", code: str = "NonRecoverableError", *, traceback: str = "", hint: str | None = None
    ) -> None:
        super().__init__(message, code=code, traceback=traceback, recoverable=False, hint=hint)


class TaskOutputError(TaskSdkError, TypeError):
    """A task returned something that its interface does not say."""


class EngineError(TaskSdkError):
    """An engine could not run an attempt, or could not be asked about one."""


class StoreError(TaskSdkError):
    """The record of runs and kept results could not be read or written."""


class MissingDependencyError(TaskSdkError, ImportError):
    """A part of the SDK needs an extra that is not installed."""


class IgnoreOutputs(Exception):  # noqa: N818 - users raise it by this name; it is a request, not an error
    """Raise it where the outputs of this process are not the task's, as the workers of a distributed training do."""


RuntimeUserError = TaskError
OOMError = OutOfMemoryError
ActionAbortedError = TaskAbortedError
