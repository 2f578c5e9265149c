"""How often a failed task is tried again, and how long to wait before."""

from __future__ import annotations

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError
from tasksdk.values.duration import Duration, seconds

FIRST_DELAY = 0.5
DEFAULT_FACTOR = 2.0
DEFAULT_CAP = 30.0


class RetryStrategy(Value):
    """`count` attempts more than one; `backoff` is the longest delay between two, `backoff_factor` how it grows."""

    count: int
    backoff: Duration | None = None
    backoff_factor: float | None = None

    def check(self) -> None:
        """Refuse counts and factors that cannot be one."""
        count: object = self.count
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise TaskDefinitionError(f"retries: {count!r} is not a number of retries", hint="write retries=3")
        if self.backoff is not None:
            seconds(self.backoff, "retries: backoff")
        factor: object = self.backoff_factor
        if factor is not None and (isinstance(factor, bool) or not isinstance(factor, (int, float)) or not factor > 0):
            raise TaskDefinitionError(
                f"retries: the factor {factor!r} is not a positive number", hint="write backoff_factor=2"
            )

    @property
    def attempts(self) -> int:
        """How often the task runs at most."""
        return self.count + 1

    def delay(self, attempt: int) -> float:
        """Seconds to wait after the `attempt`-th attempt failed, counted from 1."""
        cap = DEFAULT_CAP if self.backoff is None else seconds(self.backoff, "retries: backoff")
        factor = DEFAULT_FACTOR if self.backoff_factor is None else float(self.backoff_factor)
        try:
            return min(cap, FIRST_DELAY * factor**attempt)
        except OverflowError:
            return cap


def retry_strategy(retries: int | RetryStrategy | None) -> RetryStrategy:
    """Accept a number of retries or a strategy."""
    if isinstance(retries, RetryStrategy):
        return retries
    return RetryStrategy(0 if retries is None else retries)
