"""The port that every engine implements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tasksdk.engines.attempt import AttemptEvent, AttemptSpec, LogLine


@runtime_checkable
class Engine(Protocol):
    """Runs attempts. Retries, caching and the record of runs are the client's.

    `helper_image` is the image whose SDK moves the files of containers without it: a reference, "auto" for one that is
    built for it, or None where containers see folders of the client's machine alone.

    One that `keeps_workers` runs an attempt with a `reuse` in a live worker, which is gone when it was idle for the
    policy's time, when the engine is closed, or when the client is gone. Any other runs `argv` as if there were none.

    `at_once` is how many attempts one attempt may have running below it; what it calls beyond that waits.
    """

    name: str
    runs_images: bool
    helper_image: str | None
    keeps_workers: bool
    at_once: int

    async def submit(self, spec: AttemptSpec) -> bool:
        """Start an attempt, or join the one of this name that is there already; whether one was.

        A spec that cannot be started is an end with `NOT_STARTED`, which `watch` tells.

        Raises:
            EngineError: the engine itself cannot be reached or used.
        """

    def watch(self, name: str) -> AsyncIterator[AttemptEvent]:
        """The phase it is in, then each change, ending with exactly one terminal event that has an `exit`.

        Several may watch; whoever comes late sees the current phase first. When the terminal event is there, nothing of
        the attempt is left: no process, container, mount, temporary file or secret.

        Raises:
            EngineError: no such attempt, or the engine cannot be asked.
        """

    def logs(self, name: str) -> AsyncIterator[LogLine]:
        """Every line from the first, then those to come, until the attempt has ended."""

    def waiting(self, name: str, *, waits: bool) -> None:
        """The attempt waits for others now, or no longer: the worker that it holds meanwhile counts for nobody."""

    async def abort(self, name: str, reason: str = "") -> None:
        """End an attempt and everything it started; no error when it has ended already."""

    async def close(self) -> None:
        """End what this engine still runs and let go of its connections."""
