"""Functions that are recorded as steps of a task, and run where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.context.current import current
from tasksdk.task.function import FunctionTask

if TYPE_CHECKING:
    from collections.abc import Callable


class Traced(FunctionTask):
    """A function whose calls in a task are actions of the run; outside of one, the plain function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here, and record it."""
        controller = current().controller
        return self.forward(*args, **kwargs) if controller is None else controller.trace(self, args, kwargs)


def trace(func: Callable[..., Any]) -> Traced:
    """Record a function's calls: their inputs, outputs and times; a recovered run takes their results over."""
    return Traced(func, task_type="trace")
