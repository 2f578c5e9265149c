"""Quoting for the places a value of the user's can stand in a Dockerfile; the only place that quotes."""

from __future__ import annotations

import json
import re
import shlex

_PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+\Z")


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
    r"""One string of a JSON form that expands variables afterwards (COPY): `$` and `\` survive both readings."""
    return json.dumps(value.replace("\\", "\\\\").replace("$", "\\$"), ensure_ascii=False)


def json_exact(value: str) -> str:
    """One string of a JSON form that is taken as it stands (ENTRYPOINT)."""
    return json.dumps(value, ensure_ascii=False)


def heredoc(script: str) -> tuple[str, str]:
    """A delimiter that no line of the script equals, and the script with a newline at its end."""
    lines = set(script.split("\n"))
    delimiter = "EOF"
    while delimiter in lines or f"\t{delimiter}" in lines:
        delimiter += "_"
    return delimiter, script if script.endswith("\n") else f"{script}\n"
