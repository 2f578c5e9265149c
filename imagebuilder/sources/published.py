"""Refusing credentials in text that becomes part of an image's history."""

from __future__ import annotations

import re

from imagebuilder.errors import SecretError
from imagebuilder.spec.credential import has_credentials, mask

# pip and uv expand these from the environment of the step; they name a value and hold none.
_VARIABLE = r"\$\{[A-Z0-9_]+\}"
_NAMED_ONLY = re.compile(rf"://(?:[^\s:/@'\"]*:{_VARIABLE}|{_VARIABLE}:?)@")
_USERINFO = re.compile(r"://[^\s/@'\"]+@")


def holds_credentials(line: str) -> bool:
    """Whether a URL with a password or token stands in a line; `${TOKEN}` is neither."""
    return has_credentials(_NAMED_ONLY.sub("://", line))


def refuse_credentials(staged: str, original: str, path: str, hint: str) -> None:
    """Refuse a URL with a password or token in what is staged; `original` is where its line is looked up.

    Raises:
        SecretError: there is one; the message has it masked.
    """
    for found in _USERINFO.finditer(staged):
        start = staged.rfind("\n", 0, found.start()) + 1
        line = staged[start:].split("\n", 1)[0]
        if not holds_credentials(line):
            continue
        lines = original.splitlines()
        number = next((number for number, text in enumerate(lines, 1) if found[0] in text), 0)
        where = f"{path}, line {number}" if number else path
        shown = lines[number - 1] if number else line
        raise SecretError(
            f"{where}: {mask(shown.strip())!r} has credentials in it, which would be published with the image",
            hint=hint,
        )
