"""Durations as users write them: a timedelta, or a number of seconds."""

from __future__ import annotations

from datetime import timedelta

from tasksdk.errors import TaskDefinitionError

Duration = timedelta | int | float


def seconds(duration: Duration, where: str) -> float:
    """The duration in seconds; never negative, never infinite."""
    given: object = duration
    if isinstance(given, timedelta):
        value = given.total_seconds()
    elif isinstance(given, (int, float)) and not isinstance(given, bool):
        value = float(given)
    else:
        raise TaskDefinitionError(
            f"{where}: {duration!r} is not a duration", hint="write timedelta(minutes=5) or seconds"
        )
    if not 0 <= value < float("inf"):
        raise TaskDefinitionError(f"{where}: {duration!r} is not a length of time", hint="write zero or more seconds")
    return value
