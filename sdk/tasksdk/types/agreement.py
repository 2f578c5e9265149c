"""Whether a literal type that a caller expects is the one its Python type makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flyteidl2.core.types_pb2 import LiteralType, SimpleType

from tasksdk.errors import ConversionError
from tasksdk.types.hints import show

if TYPE_CHECKING:
    from tasksdk.types.converter import Converter


def check_agreement(expected: LiteralType, converter: Converter) -> None:
    """Refuse a literal type of another form; schemas, tags and formats are not compared.

    Raises:
        ConversionError: the two differ.
    """
    if not agree(expected, converter.literal_type):
        raise ConversionError(
            f"the type {show(converter.hint)} is {form(converter.literal_type)}, where {form(expected)} is expected"
        )


def agree(expected: LiteralType, found: LiteralType) -> bool:  # noqa: PLR0911 - one line per form
    """Whether literals of one type can stand for the other."""
    kind = expected.WhichOneof("type")
    if kind is None or expected.ByteSize() == 0:
        return True
    if kind == "union_type" or found.WhichOneof("type") == "union_type":
        return _unions_agree(expected, found)
    if kind != found.WhichOneof("type"):
        return {kind, found.WhichOneof("type")} <= {"enum_type", "simple"} and SimpleType.STRING in (
            expected.simple,
            found.simple,
        )
    if kind == "simple":
        return expected.simple == found.simple
    if kind == "collection_type":
        return agree(expected.collection_type, found.collection_type)
    if kind == "map_value_type":
        return agree(expected.map_value_type, found.map_value_type)
    if kind == "blob":
        return expected.blob.dimensionality == found.blob.dimensionality
    return True


def _unions_agree(expected: LiteralType, found: LiteralType) -> bool:
    outer = list(expected.union_type.variants) or [expected]
    inner = list(found.union_type.variants) or [found]
    return all(any(agree(variant, other) for variant in outer) for other in inner)


def form(literal_type: LiteralType) -> str:
    """A literal type in one phrase."""
    kind = literal_type.WhichOneof("type")
    if kind == "simple":
        return SimpleType.Name(literal_type.simple)
    if kind == "collection_type":
        return f"a collection of {form(literal_type.collection_type)}"
    if kind == "map_value_type":
        return f"a map of {form(literal_type.map_value_type)}"
    if kind == "union_type":
        return " or ".join(map(form, literal_type.union_type.variants))
    return f"a {kind}".replace("_type", "").replace("_", " ") if kind else "no type"
