"""What `run.wait()` and `run.outputs()` give: it works directly, and with await."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasksdk.running.run import Run


class Waiting:
    """The end of a run; where no event loop runs, it was waited for when this was made."""

    def __init__(self, run: Run, *, quiet: bool = True) -> None:
        self._run = run
        self._quiet = quiet

    def __await__(self) -> Generator[Any, None, Run]:
        """Wait without holding up the event loop."""
        yield from self._run.ended().__await__()
        if not self._quiet:
            self._run.show_logs()
        return self._run

    def __repr__(self) -> str:
        return f"<the end of {self._run!r}>"


class Outputs(Sequence[Any]):
    """The values of a run's outputs, in the order of the interface; using them waits for the run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __await__(self) -> Generator[Any, None, Outputs]:
        """Wait without holding up the event loop."""
        yield from self._run.ended().__await__()
        _ = self._run.values
        return self

    @property
    def named_outputs(self) -> dict[str, Any]:
        """The values by their names."""
        return self._run.named_values

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.named_outputs:
            return self.named_outputs[name]
        raise AttributeError(f"there is no output {name!r}")

    def __getitem__(self, index: Any) -> Any:
        return self._run.values[index]

    def __len__(self) -> int:
        return len(self._run.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._run.values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (tuple, list)):
            return self._run.values == tuple(other)
        return isinstance(other, Outputs) and self._run.values == other._run.values

    def __hash__(self) -> int:
        return hash(self._run.values)

    def __repr__(self) -> str:
        return repr(self._run.values)
