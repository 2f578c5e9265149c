"""Names for actions that belong together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasksdk.context.current import Context, GroupData

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def group(name: str) -> Iterator[None]:
    """Give the actions started in the block the group's name; without effect outside a task."""
    now = Context.current()
    task_context = now.data.task_context
    if task_context is None:
        yield
        return
    with now.new(task_context=task_context.replace(group_data=GroupData(name))):
        yield
