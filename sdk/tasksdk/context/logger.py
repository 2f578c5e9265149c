"""`logger`: a logger for tasks, which writes to standard error and so to the action's log."""

from __future__ import annotations

import logging
import os

from tasksdk.errors import UserInputError

LEVEL = "TASKSDK_LOG_LEVEL"


def set_level(level: int | str) -> str:
    """The level's name or number, from which on lines are written.

    Raises:
        UserInputError: it is none.
    """
    try:
        logger.setLevel(level.upper() if isinstance(level, str) and not level.isdigit() else int(level))
    except (ValueError, TypeError):
        raise UserInputError(f"{level!r} is not a level of logging", hint='write log_level="INFO"') from None
    return str(level)


def _made() -> logging.Logger:
    made = logging.getLogger("tasksdk.task")
    if not made.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        made.addHandler(handler)
        made.propagate = False
    return made


logger = _made()
set_level(os.environ.get(LEVEL) or logging.INFO)
