"""How long a task may run, and how long it may wait to run."""

from __future__ import annotations

from datetime import timedelta

from imagebuilder.spec.value import Value
from tasksdk.values.duration import Duration, seconds


class Timeout(Value):
    """`max_runtime` bounds one attempt's run, `max_queued_time` its wait, `deadline` all attempts; zero is no bound."""

    max_runtime: Duration = 0
    max_queued_time: Duration | None = None
    deadline: Duration | None = None

    def check(self) -> None:
        """Refuse what is not a length of time."""
        seconds(self.max_runtime, "timeout: max_runtime")
        for name in ("max_queued_time", "deadline"):
            given = getattr(self, name)
            if given is not None:
                seconds(given, f"timeout: {name}")

    @property
    def runtime_seconds(self) -> float | None:
        """The bound of one attempt's run in seconds; None where there is none."""
        return seconds(self.max_runtime, "timeout: max_runtime") or None

    @property
    def queued_seconds(self) -> float | None:
        """The bound of one attempt's wait in seconds; None where there is none."""
        return (
            None if self.max_queued_time is None else seconds(self.max_queued_time, "timeout: max_queued_time") or None
        )

    @property
    def deadline_seconds(self) -> float | None:
        """The time from the call to the end of its last attempt in seconds; None where there is no bound."""
        return None if self.deadline is None else seconds(self.deadline, "timeout: deadline") or None

    def within(self, left: float) -> Timeout:
        """The bounds of an attempt when so many seconds of the deadline are left."""
        runtime, queued = self.runtime_seconds or left, self.queued_seconds or left
        return self.replace(max_runtime=min(runtime, left), max_queued_time=min(queued, left))


TimeoutType = Timeout | timedelta | int | float


def timeout_from(timeout: TimeoutType | None) -> Timeout:
    """Accept a timeout, or the bound of the run alone."""
    if isinstance(timeout, Timeout):
        return timeout
    return Timeout() if timeout is None else Timeout(timeout)
