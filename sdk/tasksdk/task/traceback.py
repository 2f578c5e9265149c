"""Tracebacks that show the user's code, and not what called it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib takes longer to import


def user_traceback(error: BaseException) -> str:
    """The traceback as text, from the first frame of the user's on; without any frame where there is none."""
    from traceback import format_exception

    return "".join(format_exception(type(error), error, first_of_user(error.__traceback__)))


def first_of_user(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of the SDK and of the import machinery at its head."""
    at = traceback
    while at is not None and _is_ours(at.tb_frame.f_code.co_filename):
        at = at.tb_next
    return at


def _is_ours(file: str) -> bool:
    return file.startswith((_OURS, "<frozen importlib")) or file.endswith(
        ("importlib/__init__.py", "asyncio/runners.py")
    )
