"""Tracebacks that show the user's code, and not what called it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tasksdk.errors import TaskError

if TYPE_CHECKING:
    from types import TracebackType

_STANDARD = os.path.dirname(os.__file__) + "/"  # noqa: PTH120 - as below
_LONGEST = 1 << 16
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib takes longer to import


def user_traceback(error: BaseException) -> str:
    """The traceback as text, from the first frame of the user's on; without any frame where there is none."""
    from traceback import format_exception

    try:
        shown = first_of_user(error.__traceback__)
        if isinstance(error, TaskError):
            # It failed elsewhere, and tells of that itself: how it came here says nothing.
            shown = _without_tail(shown)
        return legible("".join(format_exception(type(error), error, shown)))
    except Exception:  # noqa: BLE001 - a user's exception may do anything when it is looked at
        return f"{type(error).__name__}: this exception cannot be shown\n"


def legible(text: str) -> str:
    """The text as UTF-8 can hold it, without the middle of one that nobody would read to its end."""
    if len(text) > _LONGEST:
        left_out = len(text) - _LONGEST
        text = f"{text[: _LONGEST // 2]}\n... {left_out} characters are left out ...\n{text[-_LONGEST // 2 :]}"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def first_of_user(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of the SDK and of the import machinery at its head."""
    at = traceback
    while at is not None and _is_ours(at.tb_frame.f_code.co_filename):
        at = at.tb_next
    return at


def _without_tail(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames after the last of the user's."""
    from types import TracebackType

    steps, kept = [], 0
    while traceback is not None:
        steps.append(traceback)
        file = traceback.tb_frame.f_code.co_filename
        if not (_is_ours(file) or file.startswith(_STANDARD)):
            kept = len(steps)
        traceback = traceback.tb_next
    found: TracebackType | None = None
    for step in reversed(steps[:kept]):
        found = TracebackType(found, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return found


def _is_ours(file: str) -> bool:
    return file.startswith((_OURS, "<frozen importlib")) or file.endswith(
        ("importlib/__init__.py", "asyncio/runners.py")
    )
