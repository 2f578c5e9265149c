"""Texts of the user's that go from a task to all tasks that it calls, and on from there."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tasksdk.context.current import Context
from tasksdk.errors import UserInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_outside: ContextVar[Mapping[str, str] | None] = ContextVar("tasksdk_custom_context", default=None)


@contextmanager
def custom_context(**context: str) -> Iterator[None]:
    """Give these texts to the tasks called in the block, and outside of a task to the runs started in it.

    Raises:
        UserInputError: a value is no text.
    """
    for name, value in context.items():
        given: object = value
        if not isinstance(given, str):
            raise UserInputError(f"custom_context: {name} is {value!r}, and no text", hint=f"write {name}=str(...)")
    now, merged = Context.current(), {**get_custom_context(), **context}
    task_context = now.data.task_context
    if task_context is not None:
        with now.new(task_context=task_context.replace(custom_context=merged)):
            yield
        return
    token = _outside.set(merged)
    try:
        yield
    finally:
        _outside.reset(token)


def get_custom_context() -> dict[str, str]:
    """The texts that a task called here gets."""
    task_context = Context.current().data.task_context
    return dict(task_context.custom_context if task_context is not None else _outside.get() or {})
