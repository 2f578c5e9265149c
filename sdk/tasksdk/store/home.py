"""Where on this machine the SDK keeps what outlives a process."""

from __future__ import annotations

import os

VARIABLE = "TASKSDK_HOME"


def home() -> str:
    """The folder: `TASKSDK_HOME`, else that of the XDG base directory specification."""
    given = os.environ.get(VARIABLE)
    if given:
        return os.path.abspath(os.path.expanduser(given))  # noqa: PTH100, PTH111 - pathlib takes longer to import
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111 - as above
    return os.path.join(data, "tasksdk")  # noqa: PTH118 - as above
