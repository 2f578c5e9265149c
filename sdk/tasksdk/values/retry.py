"""How often a failed task is tried again, and how long to wait before."""

from __future__ import annotations

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError
from tasksdk.values.duration import Duration, seconds

FIRST_DELAY = 0.5
DEFAULT_FACTOR = 2.0
DEFAULT_CAP = 30.0
LONGEST = 365 * 86400.0  # a year, where nothing bounds the delay: what a message of the wire format can hold


class Backoff(Value):
    """The delay before the first retry, how it grows, and the longest; without a longest it grows on."""

    base: Duration
    factor: float = 1.0
    cap: Duration | None = None

    def check(self) -> None:
        """Refuse what is no time, and what is no factor."""
        seconds(self.base, "retries: base")
        if self.cap is not None:
            seconds(self.cap, "retries: cap")
        _check_factor(self.factor, "factor=2")


class RetryStrategy(Value):
    """`count` attempts more than one; `backoff` is the longest delay between two, `backoff_factor` how it grows.

    `backoff` may be a `Backoff`, which says the first delay too.
    """

    count: int
    backoff: Duration | Backoff | None = None
    backoff_factor: float | None = None

    def check(self) -> None:
        """Refuse counts and factors that cannot be one."""
        count: object = self.count
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise TaskDefinitionError(f"retries: {count!r} is not a number of retries", hint="write retries=3")
        if self.backoff_factor is not None:
            _check_factor(self.backoff_factor, "backoff_factor=2")
        if isinstance(self.backoff, Backoff):
            if self.backoff_factor is not None:
                raise TaskDefinitionError(
                    "retries: a Backoff has a factor of its own", hint="write Backoff(base=1, factor=2)"
                )
        elif self.backoff is not None:
            seconds(self.backoff, "retries: backoff")

    @property
    def attempts(self) -> int:
        """How often the task runs at most."""
        return self.count + 1

    @property
    def growth(self) -> tuple[float, float, float]:
        """The delay before the first retry in seconds, what each further one is multiplied by, and the longest."""
        if isinstance(self.backoff, Backoff):
            own = self.backoff
            longest = LONGEST if own.cap is None else seconds(own.cap, "retries: cap")
            return seconds(own.base, "retries: base"), float(own.factor), longest
        factor = DEFAULT_FACTOR if self.backoff_factor is None else float(self.backoff_factor)
        cap = DEFAULT_CAP if self.backoff is None else seconds(self.backoff, "retries: backoff")
        return FIRST_DELAY * factor, factor, cap

    def delay(self, attempt: int) -> float:
        """Seconds to wait after the `attempt`-th attempt failed, counted from 1."""
        first, factor, longest = self.growth
        try:
            return min(longest, first * factor ** (attempt - 1))
        except OverflowError:
            return longest


def retry_strategy(retries: int | RetryStrategy | None) -> RetryStrategy:
    """Accept a number of retries or a strategy."""
    if isinstance(retries, RetryStrategy):
        return retries
    return RetryStrategy(0 if retries is None else retries)


def _check_factor(factor: object, example: str) -> None:
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not factor > 0:
        raise TaskDefinitionError(f"retries: the factor {factor!r} is not a positive number", hint=f"write {example}")
