"""Quoting for the places a value of the user's can stand in a Dockerfile; the only place that quotes."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+\Z")
_WILDCARD = re.compile(r"[*?\[\]\\]")
_EXPANDED = re.compile(r"[\\\"'$]")
_SPLIT = re.compile(r"[\\\"'\s]")


def _escape(value: str, special: re.Pattern[str]) -> str:
    return special.sub(lambda found: f"\\{found[0]}", value)


def shell(value: object) -> str:
    """One word of a shell script."""
    return shlex.quote(str(value))


def word(value: str) -> str:
    r"""One word of an instruction that expands variables: quoted, with `\`, `"` and `$` escaped.

    Dockerfile reference, "Environment replacement" and "Escape".
    """
    if _PLAIN.match(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def pair(key: str, value: str) -> str:
    """`key=value` of ENV and LABEL."""
    return f"{word(key)}={word(value)}"


def json_word(value: str) -> str:
    """One string of a JSON form that is read as a word with variables and quotes afterwards (COPY)."""
    return json.dumps(_escape(value, _EXPANDED), ensure_ascii=False)


def json_exact(value: str) -> str:
    """One string of a JSON form that is taken as it stands (ENTRYPOINT)."""
    return json.dumps(value, ensure_ascii=False)


def only_source(path: str) -> str:
    """A source of COPY, which is a pattern, that matches a path of which the context has no other like it.

    BuildKit's two ends disagree on how a special character is escaped, and agree that `?` is any one character.
    """
    return _WILDCARD.sub("?", path)


def mount(options: Iterable[tuple[str, str | None]]) -> str:
    r"""The value of `--mount`: `key=value` pairs, or a key alone.

    BuildKit reads it three times: as a word of flags, as a line of CSV, and each value as a word with variables.
    """
    fields = []
    for key, value in options:
        field = key if value is None else f"{key}={_escape(value, _EXPANDED)}"
        fields.append('"' + field.replace('"', '""') + '"' if "," in field or '"' in field else field)
    return _escape(",".join(fields), _SPLIT)


def heredoc(script: str) -> tuple[str, str]:
    """A delimiter that no line of the script equals, and the script with a newline at its end.

    BuildKit takes carriage returns off the end of a line before it compares.
    """
    lines = {line.rstrip("\r") for line in script.split("\n")}
    delimiter = "EOF"
    while delimiter in lines:
        delimiter += "_"
    return delimiter, script if script.endswith("\n") else f"{script}\n"
