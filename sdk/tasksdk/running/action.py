"""One step of a run, as users look at it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasksdk.store.rows import ActionRow


class Action:
    """A call of a task in a run: where it is, how long it took, how often it was tried, what it said."""

    def __init__(self, row: ActionRow, folder: str) -> None:
        self._row = row
        self._folder = folder

    @property
    def name(self) -> str:
        """The name, the same whenever the run is run again."""
        return self._row.name

    @property
    def run_name(self) -> str:
        """The name of the run."""
        return self._row.run

    @property
    def task_name(self) -> str:
        """The full name of the task."""
        return self._row.task

    @property
    def parent(self) -> str | None:
        """The name of the action that called it; None for a run's first."""
        return self._row.parent

    @property
    def group(self) -> str | None:
        """The group it was called in."""
        return self._row.group

    @property
    def phase(self) -> str:
        """running, succeeded, failed, timed_out or aborted."""
        return self._row.phase

    @property
    def cached(self) -> bool:
        """Whether its result was kept from an earlier call."""
        return bool(self._row.cached)

    @property
    def attempts(self) -> int:
        """How often it was tried; none when its result was kept."""
        return self._row.attempts

    @property
    def runtime(self) -> float:
        """Seconds from its start to its end, or to now."""
        return (self._row.ended or time.time()) - self._row.started

    @property
    def started(self) -> float:
        """When it started, in seconds since the epoch."""
        return self._row.started

    @property
    def error(self) -> str | None:
        """What failed, with the traceback of the user's code."""
        return self._row.error

    @property
    def report(self) -> Path | None:
        """The page that it wrote; None where there is none."""
        return self._file(self.attempts, "report.html")

    def logs(self, attempt: int | None = None) -> Iterator[str]:
        """The lines that an attempt wrote, the last one's by default."""
        log = self._file(attempt or self.attempts, "log.txt")
        if log is not None:
            with log.open(encoding="utf-8", errors="replace") as lines:
                yield from (line.rstrip("\n") for line in lines)

    def _file(self, attempt: int, name: str) -> Path | None:
        """A file of an attempt, fetched where runs are kept at an address; None where there is none."""
        from tasksdk.types import storage
        from tasksdk.types.raw_data import scratch

        uri = f"{self._folder}/{self.name}/{attempt}/{name}"
        path = storage.local_path(uri)
        if path is not None:
            return path if path.is_file() else None
        if not storage.exists(uri):
            return None
        path = Path(scratch(), self.run_name, self.name, str(attempt), name)
        storage.fetch(uri, path)
        return path

    def __repr__(self) -> str:
        return f"Action({self.name!r}, task={self.task_name!r}, phase={self.phase!r}, attempts={self.attempts})"
