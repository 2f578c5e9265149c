"""TOML without what means nothing: comments, white space, the order of keys."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

from imagebuilder.errors import SpecError
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def normalised(data: Mapping[str, Any], original: str) -> bytes:
    """Write `data` in one form; `original` as it stands where that form would not say the same."""
    text = dump(data)
    try:
        same = load_toml(text, "normalised TOML") == data
    except SpecError:
        same = False
    return (text if same else original).encode()


def without_leading_comments(text: str) -> bytes:
    """The text from its first line that says something: where generators write their own name and version."""
    return re.sub(r"\A(?:[ \t]*(?:#[^\n]*)?\n)+", "", text.replace("\r\n", "\n")).encode()


def dump(data: Mapping[str, Any]) -> str:
    """Write a TOML document, keys sorted."""
    return "".join(f"{line}\n" for line in _table((), data))


def line(key: str, value: object) -> str:
    """One key with its value, tables in it written inline."""
    return f"{_key(key)} = {_value(value)}"


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[str]:
    inner = {key: value for key, value in sorted(table.items()) if _is_table(value)}
    for key, value in sorted(table.items()):
        if key not in inner:
            yield line(key, value)
    for key, value in inner.items():
        header = ".".join(map(_key, (*path, key)))
        for item in value if isinstance(value, list) else [value]:
            if isinstance(value, list):
                yield f"[[{header}]]"
            elif not item or not all(map(_is_table, item.values())):
                yield f"[{header}]"
            yield from _table((*path, key), item)


def _is_table(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) for item in value)
    return isinstance(value, dict)


def _key(key: str) -> str:
    return key if _BARE.match(key) else _value(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int() | float():
            return repr(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in sorted(value.items())) + "}"
        case _:
            raise TypeError(f"{type(value).__name__} is not a TOML value")
