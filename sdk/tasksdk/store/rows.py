"""The rows of the record: runs and actions."""

from __future__ import annotations


class RunRow:
    """One run; times in seconds since the epoch, `inputs` and `outputs` in wire form."""

    __slots__ = ("ended", "mode", "name", "phase", "started", "task")

    def __init__(  # noqa: PLR0917 - the columns of the table
        self, name: str, task: str, mode: str, phase: str, started: float, ended: float | None = None
    ) -> None:
        self.name = name
        self.task = task
        self.mode = mode
        self.phase = phase
        self.started = started
        self.ended = ended


class ActionRow:
    """One action; the first of a run has no parent. `error` is text for people, with its traceback."""

    __slots__ = (
        "attempts",
        "cached",
        "ended",
        "error",
        "group",
        "inputs",
        "name",
        "outputs",
        "parent",
        "phase",
        "run",
        "started",
        "task",
    )

    def __init__(  # noqa: PLR0917 - the columns of the table
        self,
        run: str,
        name: str,
        parent: str | None,
        task: str,
        group: str | None = None,
        phase: str = "running",
        attempts: int = 0,
        started: float = 0,
        ended: float | None = None,
        inputs: bytes = b"",
        outputs: bytes | None = None,
        error: str | None = None,
        cached: int = 0,
    ) -> None:
        self.run = run
        self.name = name
        self.parent = parent
        self.task = task
        self.group = group
        self.phase = phase
        self.attempts = attempts
        self.started = started
        self.ended = ended
        self.inputs = inputs
        self.outputs = outputs
        self.error = error
        self.cached = cached

    def values(self) -> tuple[object, ...]:
        """The columns in the order of the table."""
        return (
            self.run,
            self.name,
            self.parent,
            self.task,
            self.group,
            self.phase,
            self.attempts,
            self.started,
            self.ended,
            self.inputs,
            self.outputs,
            self.error,
            self.cached,
        )
