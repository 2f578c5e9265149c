"""Values that hold a URI and move by their fields: files, folders and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.types.twin import Ready

if TYPE_CHECKING:
    from typing_extensions import Self

    from tasksdk.types.raw_data import RawData


class Portable(Ready):
    """A value that dataclasses and models hold as its fields."""

    __slots__ = ()

    def settled(self, raw: RawData) -> Self:
        """The same where a task that runs elsewhere finds it."""
        raise NotImplementedError

    def kept(self) -> Self:
        """The same, as one that is where it shall stay."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, str | None]:
        """The fields, as they stand in MessagePack."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, fields: Any) -> Self:
        """Reads the fields; ValueError where they are others."""
        raise NotImplementedError

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The schema of the fields."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """How pydantic holds one in a model: as itself, and as its fields where the model is dumped."""
        del source, handler
        from pydantic_core import core_schema

        def read(value: Any, info: Any) -> Any:
            if isinstance(value, cls):
                return value
            found = cls.from_dict(value)
            return found.kept() if isinstance(info.context, dict) and info.context.get("stored") else found

        def write(value: Any, info: Any) -> Any:
            raw = info.context.get("raw_data") if isinstance(info.context, dict) else None
            return (value.settled(raw) if raw is not None else value).as_dict()

        return core_schema.with_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(write, info_arg=True)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> dict[str, Any]:
        """The schema of the fields."""
        del core, handler
        return cls.json_schema()


def schema_of(title: str, *fields: str) -> dict[str, Any]:
    """An object of texts, of which the first is required."""
    text: dict[str, Any] = {"type": "string"}
    optional = {"anyOf": [text, {"type": "null"}], "default": None}
    properties = {name: text if place == 0 else optional for place, name in enumerate(fields)}
    return {"type": "object", "title": title, "properties": properties, "required": [fields[0]]}
