"""Any, and parameters without a type: the value says how it travels, and the literal how it is read."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from flyteidl2.core.types_pb2 import BlobType, LiteralType, SimpleType, TypeStructure

from tasksdk.types.converter import ANY_KIND, Converter, Plain, binary_literal, is_packed
from tasksdk.types.msgpack import pack
from tasksdk.types.once import once
from tasksdk.types.pickles import FORMAT, PICKLE, PickleConverter, pickled, stored_pickle, unpickled
from tasksdk.types.scalars import INT64

if TYPE_CHECKING:
    from flyteidl2.core.literals_pb2 import Literal

    from tasksdk.types.raw_data import RawData

_PRIMITIVES = {
    "integer": int,
    "float_value": float,
    "string_value": str,
    "boolean": bool,
    "datetime": dt.datetime,
    "duration": dt.timedelta,
}
_OWN_MODULES = ("tasksdk.types.file", "tasksdk.types.folder", "tasksdk.types.dataframe")
_INLINE = 64 * 1024
"""Pickles up to this size stay in the literal, so that small values need no storage."""


class AnyConverter(Converter):
    """Anything: primitives, files and frames as such, plain lists and dicts as MessagePack, the rest as a pickle."""

    name, kinds, blocks = "Any", ANY_KIND, True

    @once
    def literal_type(self) -> LiteralType:
        """Either of the forms of a pickle, as the ecosystem says "anything"."""
        found = LiteralType()
        tag = TypeStructure(tag=PickleConverter.name)
        found.union_type.variants.append(LiteralType(blob=BlobType(format=FORMAT), structure=tag))
        found.union_type.variants.append(LiteralType(simple=SimpleType.BINARY, structure=tag))
        found.metadata["python_class_name"] = "typing.Any"
        return found

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """The literal of the value's own type where reading it gives the value again."""
        own = _own_converter(value)
        if own is not None:
            return own.to_literal(value, raw)
        if is_plain(value):
            return binary_literal(pack(value))
        data = pickled(value)
        return binary_literal(data, PICKLE) if len(data) <= _INLINE else stored_pickle(value, raw)

    def from_literal(self, literal: Literal, raw: RawData) -> Any:  # noqa: PLR0911 - one line per form
        """Reads any literal."""
        if literal.HasField("collection"):
            return [self.from_literal(item, raw) for item in literal.collection.literals]
        if literal.HasField("map"):
            return {key: self.from_literal(literal.map.literals[key], raw) for key in sorted(literal.map.literals)}
        scalar = literal.scalar
        form = scalar.WhichOneof("value")
        if form == "union":
            return self.from_literal(scalar.union.value, raw)
        if is_packed(literal) or form == "generic":
            return self.plain_of(literal)
        if form == "binary":
            return unpickled(scalar.binary.value) if scalar.binary.tag == PICKLE else scalar.binary.value
        if form == "blob" and scalar.blob.metadata.type.format == FORMAT:
            return PickleConverter(Any).from_literal(literal, raw)
        hint = _hint_of(literal)
        if hint is None:
            raise self.unreadable(literal)
        return _converter(hint).from_literal(literal, raw)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """A plain value as itself; anything else as the bytes of its literal, and so are bytes."""
        if is_plain(value) and not isinstance(value, bytes):
            return value
        return super().pack(value, raw)

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads either form."""
        return super().unpack(plain, raw) if isinstance(plain, bytes) else plain

    def rank(self, value: object) -> int:
        """Last of all."""
        del value
        return 3


def is_plain(value: object) -> bool:
    """Whether MessagePack gives exactly this value back."""
    return _is_plain(value, set())


def _is_plain(value: object, above: set[int]) -> bool:
    kind = type(value)
    if kind is int:
        return value in INT64
    if kind is str:
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)  # type: ignore[attr-defined]
    if kind in (bool, float, bytes, type(None)):
        return True
    if kind not in (list, dict) or id(value) in above or len(above) > 100:
        return False
    above.add(id(value))
    parts = value if kind is list else [*value, *value.values()]  # type: ignore[attr-defined,misc]
    plain = all(_is_plain(part, above) for part in parts)  # type: ignore[attr-defined]
    above.discard(id(value))
    return plain


def _own_converter(value: object) -> Converter | None:
    kind = type(value)
    if value is None or kind in (bool, float, bytes, dt.timedelta):
        return _converter(kind)
    if (kind is int and value in INT64) or (kind is str and is_plain(value)):
        return _converter(kind)
    if kind is dt.datetime and value.tzinfo in (None, dt.timezone.utc):  # type: ignore[attr-defined]
        return _converter(kind)
    if kind.__module__ in _OWN_MODULES:
        return _converter(kind)
    return None


def _converter(hint: Any) -> Converter:
    from tasksdk.types.registry import converter_for

    return converter_for(hint)


def _hint_of(literal: Literal) -> Any:
    """The type that reads a scalar literal best."""
    scalar = literal.scalar
    form = scalar.WhichOneof("value")
    if form == "none_type":
        return type(None)
    if form == "primitive":
        return _PRIMITIVES.get(scalar.primitive.WhichOneof("value") or "")
    if form == "blob":
        from tasksdk.types.file import File
        from tasksdk.types.folder import Dir

        return Dir if scalar.blob.metadata.type.dimensionality == BlobType.MULTIPART else File
    if form == "structured_dataset":
        from tasksdk.types.dataframe import DataFrame

        return DataFrame
    return None
