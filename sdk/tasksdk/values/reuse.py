"""Whether a task's process outlives a call, to serve the next one."""

from __future__ import annotations

from datetime import timedelta

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError
from tasksdk.values.duration import Duration, seconds

DEFAULT_IDLE_TTL = timedelta(seconds=30)


class ReusePolicy(Value):
    """Keep up to `replicas` live workers, each until it was idle for `idle_ttl`; surplus ones for `scaledown_ttl`.

    `concurrency` is the most calls that a worker may be given at once; workers here take one at a time.
    """

    replicas: int | tuple[int, int] = 1
    idle_ttl: Duration = DEFAULT_IDLE_TTL
    concurrency: int = 1
    scaledown_ttl: Duration | None = None

    def check(self) -> None:
        """Refuse numbers of workers and times that cannot be one."""
        low, high = self.bounds
        if any(isinstance(n, bool) or not isinstance(n, int) for n in (low, high)) or not 0 <= low <= high or high < 1:
            raise TaskDefinitionError(
                f"reusable: {self.replicas!r} is not a number of replicas", hint="write replicas=2, or replicas=(1, 4)"
            )
        if not seconds(self.idle_ttl, "reusable: idle_ttl"):
            raise TaskDefinitionError(
                "reusable: idle_ttl is zero", hint='write reusable="off" for a fresh process each time'
            )

        most: object = self.concurrency
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise TaskDefinitionError(
                f"reusable: concurrency {most!r} is not a number of calls", hint="write concurrency=1"
            )
        if self.scaledown_ttl is not None and not seconds(self.scaledown_ttl, "reusable: scaledown_ttl"):
            raise TaskDefinitionError("reusable: scaledown_ttl is zero", hint="write scaledown_ttl=30")

    @property
    def bounds(self) -> tuple[int, int]:
        """The fewest and the most workers."""
        if isinstance(self.replicas, (tuple, list)):
            if len(self.replicas) != 2:
                raise TaskDefinitionError(
                    f"reusable: {self.replicas!r} is not (fewest, most)", hint="write replicas=(1, 4)"
                )
            return self.replicas[0], self.replicas[1]
        return self.replicas, self.replicas

    @property
    def surplus_seconds(self) -> float:
        """How long a worker above the fewest may be idle."""
        return (
            self.idle_seconds if self.scaledown_ttl is None else seconds(self.scaledown_ttl, "reusable: scaledown_ttl")
        )

    @property
    def idle_seconds(self) -> float:
        """How long a worker may be idle."""
        return seconds(self.idle_ttl, "reusable: idle_ttl")
