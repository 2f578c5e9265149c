"""What callers may write where a spec wants strings, paths or destinations; the rest raises at their line."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable

from imagebuilder.errors import SpecError

StrPath = str | os.PathLike[str]


def text(value: object, where: str, example: str) -> str:
    """A string without NUL; `example` is the call to show when it is not."""
    if not isinstance(value, str):
        raise SpecError(f"{where}: {value!r} is not a string", hint=f"write {example}")
    if "\0" in value:
        raise SpecError(f"{where}: {value!r} has a NUL character")
    return value


def line(value: object, where: str, example: str) -> str:
    """A string of one line: newlines would end the instruction it is rendered into."""
    checked = text(value, where, example)
    if "\n" in checked or "\r" in checked:
        raise SpecError(f"{where}: {checked!r} has a newline", hint="write the value on one line")
    return checked


def strings(values: Iterable[object], where: str, example: str) -> tuple[str, ...]:
    """Strings given one by one or as one list or tuple."""
    items = tuple(values)
    if len(items) == 1 and isinstance(items[0], (list, tuple)):
        items = tuple(items[0])
    if not items:
        raise SpecError(f"{where} needs at least one value", hint=f"write {example}")
    checked = tuple(text(item, where, example) for item in items)
    for item in checked:
        if not item.strip():
            raise SpecError(f"{where}: a value is empty", hint=f"write {example}")
    return checked


def path(value: object, where: str, example: str) -> str:
    """A path of this machine as the user wrote it, relative paths kept relative."""
    if not isinstance(value, (str, os.PathLike)):
        raise SpecError(f"{where}: {value!r} is not a path", hint=f"write {example}")
    raw = os.fspath(value)
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise SpecError(f"{where}: {value!r} is not a path", hint=f"write {example}")
    return os.path.normpath(raw) if ".." not in raw else raw.rstrip("/")


def destination(value: object, where: str) -> str:
    """A path in the image: absolute, or relative to the working directory, and never with `..`.

    A trailing slash is kept: it says that a folder is meant.
    """
    raw = line(os.fspath(value) if isinstance(value, os.PathLike) else value, where, f'{where[:-2]}(src, "/app")')
    if not raw:
        raise SpecError(f"{where}: the destination is empty", hint='write "/app", or "." for the working directory')
    if ".." in raw.split("/"):
        raise SpecError(
            f"{where}: the destination {raw!r} has '..' in it",
            hint="write an absolute path in the image, or one below the working directory",
        )
    if "\\" in raw:
        raise SpecError(f"{where}: the destination {raw!r} has a backslash", hint="paths in an image have '/'")
    clean = posixpath.normpath(raw)
    clean = "/" + clean.lstrip("/") if clean.startswith("/") else clean
    return f"{clean}/" if raw.endswith("/") and clean not in ("/", ".") else clean
