"""Literal types that say how their MessagePack looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyteidl2.core.types_pb2 import LiteralType, SimpleType, TypeAnnotation, TypeStructure
from google.protobuf.struct_pb2 import Struct

from tasksdk.types.converter import MESSAGEPACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasksdk.types.converter import Converter


class Definitions:
    """Schemas of records that contain themselves: each is defined once, and referred to by name."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._used: set[str] = set()
        self.found: dict[str, Any] = {}

    def of(self, title: str, describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The schema of a record, or a reference to it."""
        if title in self._open or title in self.found:
            self._used.add(title)
            return {"$ref": f"#/$defs/{title}"}
        self._open.add(title)
        described = describe()
        self._open.discard(title)
        if title not in self._used:
            return described
        self.found[title] = described
        return {"$ref": f"#/$defs/{title}"}


def json_schema(converter: Converter) -> dict[str, Any]:
    """The whole schema of a converter's plain form."""
    known = Definitions()
    described = converter.schema(known)
    if not known.found:
        return described
    outermost = described.get("$ref", "").removeprefix("#/$defs/")
    return {**(known.found[outermost] if outermost else described), "$defs": known.found}


def packed_type(
    described: Converter | None = None, *, tag: str = "", schema: Mapping[str, Any] | None = None
) -> LiteralType:
    """A struct held as MessagePack, with the JSON schema of its values.

    The annotation is the ecosystem's word for the format of such a binary (`cache-key-metadata`).
    """
    found = LiteralType(simple=SimpleType.STRUCT)
    annotation = Struct()
    annotation.update({"cache-key-metadata": {"serialization-format": MESSAGEPACK}})
    found.annotation.CopyFrom(TypeAnnotation(annotations=annotation))
    if described is not None:
        schema = json_schema(described)
    if schema is not None:
        found.metadata.update(schema)
    if tag:
        found.structure.CopyFrom(TypeStructure(tag=tag))
    return found
