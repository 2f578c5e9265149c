"""The user's script: `__main__` where it was started, a module of some name wherever else it is needed."""

from __future__ import annotations

import os
import sys

MAIN = "__main__"
SCRIPT = "TASKSDK_SCRIPT"
"""Tells an attempt the name under which it can import its client's script."""


def script_name(root: str | None) -> str | None:
    """The name under which another process can import this one's script; None in an interactive session.

    `root` is the folder that modules are imported from; the script's own where it lies elsewhere.
    """
    main = sys.modules[MAIN]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    if file is None:
        return None
    from pathlib import Path

    path = Path(file).resolve()
    top = path.parent if root is None else Path(root).resolve()
    relative = path.relative_to(top) if path.is_relative_to(top) else Path(path.name)
    return ".".join(relative.with_suffix("").parts)


def module_here(module: str, name: str) -> str:
    """The module that has the name here, where another process, for which a script was another module, wrote it."""
    if module == MAIN:
        known = hasattr(sys.modules[MAIN], name.partition(".")[0])
        return module if known else os.environ.get(SCRIPT) or module
    if module not in sys.modules and _is_script(module):
        return MAIN
    return module


def _is_script(module: str) -> bool:
    """Whether that module is the script that runs: by the name `-m` gave it, else by the end of its path."""
    main = sys.modules[MAIN]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return bool(spec.name == module)
    file = getattr(main, "__file__", None)
    if file is None:
        return False
    from pathlib import Path

    parts = module.split(".")
    return list(Path(file).resolve().with_suffix("").parts[-len(parts) :]) == parts
