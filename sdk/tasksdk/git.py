"""The configuration of the git repository that the current folder is in: `init_from_config(git.config_from_root())`."""

from __future__ import annotations

from pathlib import Path


def config_from_root(path: str = "pyproject.toml") -> Path | None:
    """The file at this path below the top of the repository; None where there is none."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / ".git").exists():
            return found if (found := folder / path).is_file() else None
    return None
