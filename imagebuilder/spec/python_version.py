"""A Python minor version, and whether a `requires-python` admits it."""

from __future__ import annotations

import re
import sys

from imagebuilder.errors import SpecError

PythonVersion = tuple[int, int]

_TEXT = r"(\d)\.(\d{1,2})(?:\.\d+)?\Z"
_CLAUSE = r"\s*(~=|===?|!=|<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)*)(\.\*)?[a-z0-9.+-]*\s*\Z"
_WRITE = 'write python_version="3.11" or python_version=(3, 11)'
_PATCHES = 64  # more patch releases than a minor version ever had


def running() -> PythonVersion:
    """The minor version of the interpreter that evaluates the spec."""
    return sys.version_info[0], sys.version_info[1]


def python_version(value: object) -> PythonVersion:
    """Accept `"3.11"`, `(3, 11)` and `"3.11.7"` (whose patch level a base image decides).

    Raises:
        SpecError: anything else; a float above all, since 3.10 is 3.1 to Python.
    """
    found: PythonVersion | None = None
    if isinstance(value, str) and (match := re.match(_TEXT, value)):
        found = int(match[1]), int(match[2])
    elif isinstance(value, (tuple, list)) and len(value) in (2, 3) and all(type(part) is int for part in value):
        found = value[0], value[1]
    if found is None or found[0] != 3 or found[1] < 0:
        raise SpecError(f"{value!r} is not a Python version", hint=_WRITE)
    return found


def satisfies(version: PythonVersion, requires: str) -> bool:
    """Whether some patch release of a minor version meets a PEP 440 specifier set.

    Raises:
        SpecError: the specifier does not parse.
    """
    clauses = [_parse(clause) for clause in requires.split(",") if clause.strip()]
    return any(all(_meets((*version, patch), *clause) for clause in clauses) for patch in range(_PATCHES))


def _parse(clause: str) -> tuple[str, tuple[int, ...], bool]:
    found = re.match(_CLAUSE, clause)
    if not found:
        raise SpecError(f"requires-python: {clause.strip()!r} is not a version specifier", hint='write ">=3.11"')
    return found[1], tuple(int(part) for part in found[2].split(".")), bool(found[3])


def _meets(release: tuple[int, ...], operator: str, numbers: tuple[int, ...], star: bool) -> bool:
    """PEP 440, "Version specifiers", for final releases; missing parts are zeros."""
    bound = (*numbers, 0, 0)[: max(3, len(numbers))]
    starts = release[: len(numbers)] == numbers
    verdicts = {
        ">=": release >= bound,
        ">": release > bound,
        "<=": release <= bound,
        "<": release < bound,
        "~=": release >= bound and release[: len(numbers) - 1] == numbers[:-1],
        "==": starts if star else release == bound,
        "===": release == bound,
        "!=": not starts if star else release != bound,
    }
    return verdicts[operator]
