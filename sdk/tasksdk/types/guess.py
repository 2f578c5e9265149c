"""The Python type that a literal type most likely came from."""

from __future__ import annotations

import datetime as dt
import enum
from typing import TYPE_CHECKING, Any, Union

from flyteidl2.core.types_pb2 import BlobType, LiteralType, SimpleType

from tasksdk.errors import ConversionError
from tasksdk.types import registry
from tasksdk.types.agreement import form
from tasksdk.types.pickles import FORMAT, PickleConverter

if TYPE_CHECKING:
    from collections.abc import Callable

_SIMPLE = {
    SimpleType.NONE: type(None),
    SimpleType.INTEGER: int,
    SimpleType.FLOAT: float,
    SimpleType.STRING: str,
    SimpleType.BOOLEAN: bool,
    SimpleType.DATETIME: dt.datetime,
    SimpleType.DURATION: dt.timedelta,
    SimpleType.BINARY: bytes,
}
_JSON = {"integer": int, "number": float, "string": str, "boolean": bool, "null": type(None)}


def guessed(literal_type: LiteralType) -> Any:
    """The type; users' transformers are asked first.

    Raises:
        ConversionError: the literal type has no form.
    """
    for transformer in registry.transformers():
        try:
            return transformer.guess_python_type(literal_type)
        except (ValueError, NotImplementedError):
            continue
    guess = _FORMS.get(literal_type.WhichOneof("type") or "")
    if guess is None:
        raise ConversionError(f"no Python type stands for {form(literal_type)}")
    return guess(literal_type)


def _simple(literal_type: LiteralType) -> Any:
    if literal_type.simple != SimpleType.STRUCT:
        return _SIMPLE.get(literal_type.simple, Any)
    if not literal_type.HasField("metadata"):
        return dict
    from google.protobuf.json_format import MessageToDict

    return of_schema(MessageToDict(literal_type.metadata))


def of_schema(schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> Any:
    """The type that a JSON schema describes; an object with properties becomes a dataclass of its own."""
    definitions = schema.get("$defs", definitions or {})
    if "$ref" in schema:
        # A type inside itself cannot be made before it is known; its values are dicts.
        found = definitions.get(schema["$ref"].removeprefix("#/$defs/"))
        return of_schema(found, {}) if found else dict
    if "anyOf" in schema:
        return Union[tuple(of_schema(variant, definitions) for variant in schema["anyOf"])]  # noqa: UP007 - as read
    if "enum" in schema:
        kinds = set(map(type, schema["enum"]))
        return kinds.pop() if len(kinds) == 1 else Any
    kind = schema.get("type")
    if kind == "array":
        return list[of_schema(schema.get("items", {}), definitions)]  # type: ignore[misc]  # a type made at run time
    if kind == "object":
        return _object(schema, definitions)
    return _FORMATS.get(schema.get("format", ""), _JSON.get(str(kind), Any))


_FORMATS = {
    "date-time": dt.datetime,
    "date": dt.date,
    "time": dt.time,
    "time-delta": dt.timedelta,
    "binary": bytes,
}


def _object(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    import dataclasses

    properties = schema.get("properties")
    if not properties:
        values = schema.get("additionalProperties")
        if not isinstance(values, dict):
            return dict
        keys = of_schema(schema.get("propertyNames", {"type": "string"}), definitions)
        return dict[keys, of_schema(values, definitions)]  # type: ignore[misc, valid-type]  # a type made at run time
    fields: list[Any] = []
    required = schema.get("required", list(properties))
    for name in sorted(properties, key=lambda name: name not in required):
        hint = of_schema(properties[name], definitions)
        default = properties[name].get("default")
        fields.append((name, hint) if name in required else (name, hint, _default(default)))
    title = "".join(letter if letter.isalnum() else "_" for letter in schema.get("title", "Record"))
    return dataclasses.make_dataclass(title, fields)


def _default(value: Any) -> Any:
    import dataclasses

    return dataclasses.field(default_factory=value.copy if isinstance(value, (list, dict)) else lambda: value)


def _union(literal_type: LiteralType) -> Any:
    variants = literal_type.union_type.variants
    if variants and all(variant.structure.tag == PickleConverter.name for variant in variants):
        return Any
    return Union[tuple(guessed(variant) for variant in variants)]  # noqa: UP007 - as read


def _blob(literal_type: LiteralType) -> Any:
    if literal_type.blob.format == FORMAT:
        return Any
    from tasksdk.types.file import File
    from tasksdk.types.folder import Dir

    found = Dir if literal_type.blob.dimensionality == BlobType.MULTIPART else File
    return found.__class_getitem__(literal_type.blob.format)


def _table(literal_type: LiteralType) -> Any:
    del literal_type
    from tasksdk.types.dataframe import DataFrame

    return DataFrame


def _enumeration(literal_type: LiteralType) -> Any:
    return enum.Enum("Choice", {value: value for value in literal_type.enum_type.values})


_FORMS: dict[str, Callable[[LiteralType], Any]] = {
    "simple": _simple,
    "collection_type": lambda found: list[guessed(found.collection_type)],  # type: ignore[misc]  # made at run time
    "map_value_type": lambda found: dict[str, guessed(found.map_value_type)],  # type: ignore[misc]  # made at run time
    "union_type": _union,
    "blob": _blob,
    "enum_type": _enumeration,
    "structured_dataset_type": _table,
}
