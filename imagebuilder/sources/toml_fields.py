"""The fields of a TOML table, each checked to be of its kind where it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from imagebuilder.errors import SourceError


@dataclass(frozen=True)
class Fields:
    """A table of a document; `where` begins every message, `hint` ends it."""

    values: dict[str, Any]
    where: str
    hint: str

    def at(self, part: str) -> Fields:
        """The same table with a name of its own."""
        return replace(self, where=f"{self.where}, {part}" if part not in self.where else self.where)

    def error(self, why: str) -> SourceError:
        """What is wrong with the table."""
        return SourceError(f"{self.where} {why}", hint=self.hint)

    def text(self, key: str, default: str | None = None) -> str:
        """A string; without a default it must be there.

        Raises:
            SourceError: it is missing or no string.
        """
        value = self.values.get(key, default)
        if value is None:
            raise self.error(f"has no {key}")
        if not isinstance(value, str):
            raise self.error(f"has {key} = {value!r:.100}, which is not a string")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, empty where it is missing.

        Raises:
            SourceError: it is something else.
        """
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(f"has {key} = {value!r:.100}, which is not a list of strings")
        return tuple(value)

    def table(self, key: str) -> Fields:
        """A table, empty where it is missing.

        Raises:
            SourceError: it is something else.
        """
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(f"has {key} = {value!r:.100}, which is not a table")
        return replace(self, values=value)

    def tables(self, key: str, *, required: bool = False) -> tuple[Fields, ...]:
        """A list of tables.

        Raises:
            SourceError: it is something else, or missing and required.
        """
        value = self.values.get(key, None if required else [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(f"has no list of tables named {key}")
        return tuple(replace(self, values=item) for item in value)
