"""What locking a script starts from: the oldest Python that it is to run on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from imagebuilder.packages.arguments import UntranslatableError
from imagebuilder.sources.pyproject import table
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from imagebuilder.packages.target import PythonTarget

# Settings of `uv lock` that `uv pip compile` does not read.
_OF_LOCK: Final = ("conflicts", "environments", "required-environments")
_LOWER = re.compile(r"(?:>=|~=|==)\s*(\d+(?:\.\d+){1,2})(?:\.\*)?\Z")


def lowest_python(pyproject: str, target: PythonTarget) -> str:
    """The lower bound of `requires-python`, which decides how far a lock reaches back; the target's where it has none.

    Raises:
        UntranslatableError: there are settings that `uv lock` alone understands.
    """
    data = load_toml(pyproject, "pyproject.toml")
    settings = table(data, "tool", "uv")
    for name in _OF_LOCK:
        if name in settings:
            raise UntranslatableError(f"its [tool.uv] has {name}, which only uv in the image understands")
    clauses = str(table(data, "project").get("requires-python", "")).split(",")
    bounds = [tuple(map(int, found[1].split("."))) for clause in clauses if (found := _LOWER.match(clause.strip()))]
    return ".".join(map(str, max(bounds, default=target.minor)))
