"""A Python minor version, and whether a `requires-python` admits it."""

from __future__ import annotations

import re
import sys

from imagebuilder.errors import SpecError

PythonVersion = tuple[int, int]

_TEXT = r"(\d)\.(\d{1,2})(?:\.\d+)?\Z"
_CLAUSE = r"\s*(~=|===?|!=|<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)*)(\.\*)?[a-z0-9.+-]*\s*\Z"
_WRITE = 'write python_version="3.11" or python_version=(3, 11)'


def running() -> PythonVersion:
    """The minor version of the interpreter that evaluates the spec."""
    return sys.version_info[0], sys.version_info[1]


def python_version(value: object) -> PythonVersion:
    """Accept `"3.11"`, `(3, 11)` and `"3.11.7"` (whose patch level a base image decides).

    Raises:
        SpecError: anything else; a float above all, since 3.10 is 3.1 to Python.
    """
    if isinstance(value, str) and (found := re.match(_TEXT, value)):
        return int(found[1]), int(found[2])
    if isinstance(value, (tuple, list)) and len(value) in (2, 3) and all(type(part) is int for part in value):
        return value[0], value[1]
    raise SpecError(f"{value!r} is not a Python version", hint=_WRITE)


def satisfies(version: PythonVersion, requires: str) -> bool:
    """Whether some patch release of a minor version meets a PEP 440 specifier set.

    Raises:
        SpecError: the specifier does not parse.
    """
    return all(_clause(version, clause) for clause in requires.split(",") if clause.strip())


def _clause(version: PythonVersion, clause: str) -> bool:
    found = re.match(_CLAUSE, clause)
    if not found:
        raise SpecError(f"requires-python: {clause.strip()!r} is not a version specifier", hint='write ">=3.11"')
    operator, numbers, star = found[1], tuple(int(part) for part in found[2].split(".")), bool(found[3])
    minor = (*numbers, 0)[:2]
    patched = len(numbers) > 2 and not star
    match operator:
        case ">=":
            return version >= minor
        case ">":
            # >3.11 excludes 3.11.* (PEP 440, "Exclusive ordered comparison"), >3.11.2 does not.
            return version >= minor if patched else version > minor
        case "<=":
            return version <= minor
        case "<":
            return version <= minor if patched and numbers[2] > 0 else version < minor
        case "~=":
            return version[0] == numbers[0] and (version >= minor if len(numbers) == 2 else version == minor)
        case "==" | "===":
            return version == minor if len(numbers) > 1 else version[0] == numbers[0]
        case _:
            excluded = version == minor if len(numbers) > 1 else version[0] == numbers[0]
            return not excluded or patched
