"""Keeps the values of secrets out of what people and machines read."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST = 4  # a shorter value would blank out half of every log


class Redactor:
    """Replaces known values, also URL-quoted and in Base64, by `***`."""

    def __init__(self, values: Iterable[str]) -> None:
        found: set[str] = set()
        for value in values:
            for line in (value, *value.splitlines()):
                text = line.strip()
                if len(text) >= _SHORTEST:
                    found |= {text, quote(text, safe=""), base64.b64encode(text.encode()).decode()}
        self._values = sorted(found, key=len, reverse=True)
        self._longest = len(self._values[0]) if found else 0

    def __call__(self, text: str) -> str:
        """The text with every value masked."""
        for value in self._values:
            text = text.replace(value, "***")
        return text

    def parted(self, text: str) -> tuple[str, str]:
        """Of text that goes on: what can be shown, masked, and its end, in which a value may have begun."""
        masked = self(text)
        at = max(0, len(masked) - max(0, self._longest - 1))
        return masked[:at], masked[at:]
