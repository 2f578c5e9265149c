"""The converter of one type: everything the engine knows about it, worked out once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyteidl2.core.literals_pb2 import Binary, Literal, Scalar

from tasksdk.errors import ConversionError
from tasksdk.types.hints import show
from tasksdk.types.mismatch import inside, mismatch, shown_literal
from tasksdk.types.msgpack import pack, unpack
from tasksdk.types.once import once

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flyteidl2.core.types_pb2 import LiteralType

    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions

MESSAGEPACK = "msgpack"
ANY_KIND = frozenset({"none", "bool", "int", "float", "str", "bytes", "list", "dict"})
"""What MessagePack tells apart; `kinds` of a converter are those its plain values may have."""

Plain = Any
"""None, bool, int, float, str, bytes, or a list or dict of them."""


class Converter:
    """Moves the values of one type into literals and plain values, and back.

    Plain values are what MessagePack holds. What lives inside a dataclass, a model or a long list travels as one;
    by default it is packed as the bytes of its literal.
    """

    name = ""
    """Tags the variant of a union (`TypeStructure.tag`)."""
    kinds = frozenset({"bytes"})
    blocks = False
    """Whether converting may wait for storage or for a user's code."""
    parts: tuple[Converter, ...] = ()
    """The converters of what is inside."""

    def __init__(self, hint: Any, python_class: Any = None) -> None:
        self.hint = hint
        self.python_class = python_class or hint

    @once
    def blocking(self) -> bool:
        """Whether this or anything inside may wait."""
        seen: list[Converter] = [self]
        for converter in seen:
            seen.extend(part for part in converter.parts if part not in seen)
        return any(converter.blocks for converter in seen)

    @once
    def literal_type(self) -> LiteralType:
        """The type that interfaces name."""
        raise NotImplementedError(type(self).__name__)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """The literal of a value."""
        return binary_literal(self.packed(value, raw))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The value of a literal."""
        return self.unpack(self.plain_of(literal), raw)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The plain form of a value."""
        return self.to_literal(value, raw).SerializeToString(deterministic=True)

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """The value of a plain form."""
        if not isinstance(plain, bytes):
            raise mismatch(self.hint, plain)
        return self.from_literal(Literal.FromString(plain), raw)

    def pack_all(self, values: Iterable[Any], raw: RawData) -> list[Plain]:
        """The plain forms of many values."""
        packed = []
        for place, value in enumerate(values):
            with inside(f"[{place}]"):
                packed.append(self.pack(value, raw))
        return packed

    def unpack_all(self, plains: list[Plain], raw: RawData) -> list[Any]:
        """The values of many plain forms."""
        values = []
        for place, plain in enumerate(plains):
            with inside(f"[{place}]"):
                values.append(self.unpack(plain, raw))
        return values

    def schema(self, known: Definitions) -> dict[str, Any]:
        """The JSON schema of the plain form."""
        del known
        return {}

    def rank(self, value: object) -> int:
        """How near a value is to this type: 0 is exactly it, 1 a subclass, 2 anything it might convert."""
        if type(value) is self.python_class:
            return 0
        return 1 if isinstance(self.python_class, type) and isinstance(value, self.python_class) else 2

    def packed(self, value: Any, raw: RawData) -> bytes:
        """The MessagePack of a value."""
        plain = self.pack(value, raw)
        try:
            return pack(plain)
        except ValueError as error:
            raise mismatch(self.hint, value, str(error)) from None

    def plain_of(self, literal: Literal) -> Plain:
        """The plain value in a binary literal, or in the struct that user interfaces write."""
        form = literal.scalar.WhichOneof("value") if literal.HasField("scalar") else None
        if form == "generic":
            from google.protobuf.json_format import MessageToDict

            return _integral(MessageToDict(literal.scalar.generic))
        if form != "binary" or literal.scalar.binary.tag != MESSAGEPACK:
            raise self.unreadable(literal)
        try:
            return unpack(literal.scalar.binary.value)
        except ValueError as error:
            raise ConversionError(f"expected {show(self.hint)}, got damaged MessagePack: {error}") from None

    def unreadable(self, literal: Literal) -> ConversionError:
        """The error that says: no value of this type is in that literal."""
        return ConversionError(f"expected {show(self.hint)}, got {shown_literal(literal)}")


def binary_literal(data: bytes, tag: str = MESSAGEPACK) -> Literal:
    """A literal of bytes that say how to read them."""
    return Literal(scalar=Scalar(binary=Binary(value=data, tag=tag)))


def is_packed(literal: Literal) -> bool:
    """Whether a literal holds MessagePack."""
    return literal.HasField("scalar") and literal.scalar.HasField("binary") and literal.scalar.binary.tag == MESSAGEPACK


def kind_of(plain: Plain) -> str:
    """The kind of a plain value, as in `Converter.kinds`."""
    return "none" if plain is None else type(plain).__name__


def _integral(value: Any) -> Any:
    """A struct's numbers are all floats; those that are whole were integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_integral(item) for item in value]
    if isinstance(value, dict):
        return {key: _integral(item) for key, item in value.items()}
    return value
