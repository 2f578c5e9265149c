"""Whether the user's code is still what this process has loaded."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasksdk.code_bundle import UNPACKED

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIXED = ("/site-packages/", "/dist-packages/", f"/{UNPACKED}")
_STANDARD = os.path.dirname(os.__file__) + "/"  # noqa: PTH120 - pathlib takes longer to import


class LoadedCode:
    """The modules' files, packages and code bundles aside, as they were when they were loaded."""

    def __init__(self) -> None:
        self._known = set(sys.modules)
        self._files: dict[str, tuple[int, int] | None] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Remember what is loaded meanwhile."""
        began = time.time_ns()
        try:
            yield
        finally:
            for name in sys.modules.keys() - self._known:
                file = getattr(sys.modules[name], "__file__", None)
                stamp = _stamp(file) if isinstance(file, str) and _of_the_user(file) else None
                if file is not None and stamp is not None:
                    # One that changed after the task began may be loaded as it was, or as it is.
                    self._files[file] = None if stamp[0] > began else stamp
                self._known.add(name)

    def changed(self) -> bool:
        """Whether a file is not what it was."""
        return any(known is None or _stamp(file) != known for file, known in self._files.items())


def _of_the_user(file: str) -> bool:
    return not file.startswith(_STANDARD) and not any(part in file for part in _FIXED)


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - as above
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
