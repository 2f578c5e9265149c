"""What callers may write where a spec wants strings, paths or destinations; the rest raises at their line."""

# Paths are strings in a spec, kept as they were written.
# ruff: noqa: PTH119

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping

from imagebuilder.errors import SpecError

StrPath = str | os.PathLike[str]


def text(value: object, where: str, example: str) -> str:
    """A string without NUL, of characters that UTF-8 has; `example` is the call to show when it is not."""
    if not isinstance(value, str):
        raise SpecError(f"{where}: {value!r} is not a string", hint=f"write {example}")
    if "\0" in value:
        raise SpecError(f"{where}: {value!r} has a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SpecError(f"{where}: {value!r} is not text that UTF-8 can hold") from None
    return value


def line(value: object, where: str, example: str) -> str:
    """A string of one line: newlines would end the instruction it is rendered into."""
    checked = text(value, where, example)
    if "\n" in checked or "\r" in checked:
        raise SpecError(f"{where}: {checked!r} has a newline", hint="write the value on one line")
    return checked


def items(values: tuple[object, ...]) -> tuple[object, ...]:
    """Values given one by one, or as one list or tuple."""
    return tuple(values[0]) if len(values) == 1 and isinstance(values[0], (list, tuple)) else values


def strings(values: object, where: str, example: str) -> tuple[str, ...]:
    """At least one string, none of them blank, in a list or tuple (or one list or tuple in that)."""
    if not isinstance(values, (list, tuple)):
        raise SpecError(f"{where}: {values!r} is not a list of strings", hint=f"write {example}")
    given = items(tuple(values))
    if not given:
        raise SpecError(f"{where} needs at least one value", hint=f"write {example}")
    checked = tuple(text(item, where, example) for item in given)
    for item in checked:
        if not item.strip():
            raise SpecError(f"{where}: a value is empty", hint=f"write {example}")
    return checked


def pairs(mapping: object, where: str, example: str) -> dict[str, str]:
    """A mapping of strings to strings, each of one line."""
    if not isinstance(mapping, Mapping):
        raise SpecError(f"{where}: {mapping!r} is not a mapping", hint=f"write {example}")
    found = {}
    for key, value in mapping.items():
        name = line(key, where, example)
        call = example.partition("(")[0]
        found[name] = line(value, f"{where} {name!r}", f'{call}({{{name!r}: "{value}"}})')
    return found


def flag(value: object, where: str) -> bool:
    """True or False, nothing that only looks like it."""
    if not isinstance(value, bool):
        raise SpecError(f"{where}: {value!r} is not True or False")
    return value


def path(value: object, where: str, example: str) -> str:
    """A path of this machine as the user wrote it, relative paths kept relative."""
    if not isinstance(value, (str, os.PathLike)):
        raise SpecError(f"{where}: {value!r} is not a path", hint=f"write {example}")
    raw = os.fspath(value)
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise SpecError(f"{where}: {value!r} is not a path", hint=f"write {example}")
    # What `..` leads to depends on links, so such a path stays as it is.
    return os.path.normpath(raw) if ".." not in raw else raw.rstrip("/")


def file_name(source: str, where: str) -> str:
    """The name that a file or folder of this machine gets in the image; empty where its path ends in none."""
    name = os.path.basename(source)
    return "" if name in {"", ".", ".."} else text(name, where, f"{where[:-1]}src, dst)")


def destination(value: object, where: str, example: str) -> str:
    """A path in the image: absolute, or relative to the working directory, and never with `..`.

    A trailing slash is kept: it says that a folder is meant.
    """
    raw = line(os.fspath(value) if isinstance(value, os.PathLike) else value, where, example)
    if not raw.strip():
        raise SpecError(f"{where}: the destination is empty", hint=f'write {example}, or "." for the working directory')
    if ".." in raw.split("/"):
        raise SpecError(
            f"{where}: the destination {raw!r} has '..' in it",
            hint="write an absolute path in the image, or one below the working directory",
        )
    if "\\" in raw:
        raise SpecError(f"{where}: the destination {raw!r} has a backslash", hint="paths in an image have '/'")
    if raw == "~" or raw.startswith("~/"):
        raise SpecError(f"{where}: nothing expands the '~' of {raw!r}", hint=f"write an absolute path, {example}")
    clean = posixpath.normpath(raw)
    clean = "/" + clean.lstrip("/") if clean.startswith("/") else clean
    return f"{clean}/" if raw.endswith("/") and clean not in {"/", "."} else clean
