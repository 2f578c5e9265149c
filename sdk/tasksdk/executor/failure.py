"""What went wrong, as the document that the client reads."""

from __future__ import annotations

from tasksdk.errors import TaskDefinitionError, TaskError, UserInputError
from tasksdk.task.traceback import legible, user_traceback


class Failure:
    """A failure's code, its text with the user's traceback, whether another attempt may help, and whose it is."""

    __slots__ = ("by_user", "code", "message", "recoverable")

    def __init__(self, code: str, message: str, *, recoverable: bool, by_user: bool = True) -> None:
        self.code = legible(code)
        self.message = legible(message)
        self.recoverable = recoverable
        self.by_user = by_user

    def document(self) -> bytes:
        """A serialized `ErrorDocument`."""
        from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument, ExecutionError

        error = ContainerError(
            code=self.code,
            message=self.message,
            kind=ContainerError.RECOVERABLE if self.recoverable else ContainerError.NON_RECOVERABLE,
            origin=ExecutionError.USER if self.by_user else ExecutionError.SYSTEM,
        )
        return ErrorDocument(error=error).SerializeToString()


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception is, with the traceback of the user's code alone."""
    text = user_traceback(error)
    if isinstance(error, SystemExit):
        text = f"{text.rstrip()}\nthe task called sys.exit({error.code!r}): a task ends by returning or by raising\n"
        return Failure("SystemExit", text, recoverable=True)
    final = (UserInputError, TaskDefinitionError, ImportError, SyntaxError)
    recoverable = not isinstance(error, final) and not (isinstance(error, TaskError) and not error.recoverable)
    # What a task that this one called failed with, it failed with itself.
    code = error.code if isinstance(error, TaskError) and type(error).__name__ == "TaskError" else type(error).__name__
    return Failure(code, text, recoverable=recoverable, by_user=not isinstance(error, OSError))
