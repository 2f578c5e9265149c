"""None, bool, int, float, str and bytes."""

from __future__ import annotations

from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from flyteidl2.core.literals_pb2 import Binary, Literal, Primitive, Scalar, Void
from flyteidl2.core.types_pb2 import LiteralType, SimpleType

from tasksdk.types.converter import Converter, Plain, is_packed
from tasksdk.types.mismatch import mismatch
from tasksdk.types.once import once

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions

INT64 = range(-(2**63), 2**63)


class ScalarConverter(Converter):
    """One simple type, held by one field of a primitive."""

    field: ClassVar[str]
    simple: ClassVar[Any]
    json_type: ClassVar[str]

    @once
    def literal_type(self) -> LiteralType:
        """A simple type."""
        return LiteralType(simple=self.simple)

    def checked(self, value: Any) -> Any:
        """The value as exactly this type; numpy's scalars are read as the Python values they hold."""
        if type(value) is self.python_class:
            return value
        item = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
        return self.converted(item, value)

    def converted(self, item: Any, value: object) -> Any:
        """What else is accepted: the value of a subclass."""
        if isinstance(item, self.python_class):
            return self.python_class(item)
        raise mismatch(self.hint, value)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """A primitive."""
        del raw
        return Literal(scalar=Scalar(primitive=Primitive(**{self.field: self.checked(value)})))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The primitive's value; MessagePack is read too."""
        primitive = literal.scalar.primitive
        if primitive.WhichOneof("value") == self.field:
            return getattr(primitive, self.field)
        return self.unpack(self.plain_of(literal), raw) if is_packed(literal) else self.other(literal)

    def other(self, literal: Literal) -> Any:
        """What a literal of another form may still mean."""
        raise self.unreadable(literal)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The value itself."""
        del raw
        return self.checked(value)

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """The value itself."""
        del raw
        return self.checked(plain)

    def pack_all(self, values: Iterable[Any], raw: RawData) -> list[Plain]:
        """The values themselves, checked all at once where they are exactly of this type."""
        values = list(values)
        return values if set(map(type, values)) <= {self.python_class} else super().pack_all(values, raw)

    def unpack_all(self, plains: list[Plain], raw: RawData) -> list[Any]:
        """The values themselves."""
        return self.pack_all(plains, raw)

    def schema(self, known: Definitions) -> dict[str, Any]:
        """One of JSON's own types."""
        del known
        return {"type": self.json_type}


class BoolConverter(ScalarConverter):
    """bool."""

    name, field, simple, json_type, kinds = "bool", "boolean", SimpleType.BOOLEAN, "boolean", frozenset({"bool"})


class IntConverter(ScalarConverter):
    """int, of 64 bits."""

    name, field, simple, json_type, kinds = "int", "integer", SimpleType.INTEGER, "integer", frozenset({"int"})

    def checked(self, value: Any) -> Any:
        """A bool is no integer, and a literal holds 64 bits."""
        if isinstance(value, bool):
            raise mismatch(self.hint, value)
        number = super().checked(value)
        if number not in INT64:
            raise mismatch(self.hint, value if number.bit_length() < 256 else None, "an integer literal holds 64 bits")
        return number

    def other(self, literal: Literal) -> int:
        """A float that is whole: some writers of JSON know no integers."""
        number = literal.scalar.primitive.float_value
        if literal.scalar.primitive.HasField("float_value") and number.is_integer():
            return self.checked(int(number))  # type: ignore[no-any-return]  # checked by range above
        raise self.unreadable(literal)

    def pack_all(self, values: Iterable[Any], raw: RawData) -> list[Plain]:
        """Checks the kind and the range of all at once."""
        values = list(values)
        if set(map(type, values)) == {int}:
            with suppress(OverflowError):
                array("q", values)
                return values
        return Converter.pack_all(self, values, raw)

    def unpack_all(self, plains: list[Plain], raw: RawData) -> list[Any]:
        """Integers as MessagePack holds them."""
        return plains if set(map(type, plains)) == {int} else Converter.unpack_all(self, plains, raw)


class FloatConverter(ScalarConverter):
    """float; an integer is accepted where a float holds it exactly."""

    name, field, simple, json_type, kinds = "float", "float_value", SimpleType.FLOAT, "number", frozenset({"float"})

    def converted(self, item: Any, value: object) -> float:
        """An integer as a float."""
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            raise mismatch(self.hint, value)
        try:
            number = float(item)
        except OverflowError:
            number = float("inf")
        if isinstance(item, int) and number != item:
            raise mismatch(self.hint, value, "no float holds this integer exactly")
        return number

    def other(self, literal: Literal) -> float:
        """An integer literal."""
        if literal.scalar.primitive.HasField("integer"):
            return self.converted(literal.scalar.primitive.integer, literal.scalar.primitive.integer)
        raise self.unreadable(literal)


class StrConverter(ScalarConverter):
    """str."""

    name, field, simple, json_type, kinds = "str", "string_value", SimpleType.STRING, "string", frozenset({"str"})

    def checked(self, value: Any) -> Any:
        """Text that UTF-8 can hold."""
        text = super().checked(value)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise mismatch(self.hint, value, f"it is not text that UTF-8 can hold ({error.reason})") from None
        return text


class NoneConverter(Converter):
    """None."""

    name, kinds = "none", frozenset({"none"})

    @once
    def literal_type(self) -> LiteralType:
        """The simple type NONE."""
        return LiteralType(simple=SimpleType.NONE)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """The void scalar."""
        self.pack(value, raw)
        return Literal(scalar=Scalar(none_type=Void()))

    def from_literal(self, literal: Literal, raw: RawData) -> None:
        """None."""
        if not literal.scalar.HasField("none_type"):
            self.unpack(self.plain_of(literal), raw)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """None."""
        del raw
        if value is not None:
            raise mismatch(self.hint, value)
        return None

    def unpack(self, plain: Plain, raw: RawData) -> None:
        """None."""
        self.pack(plain, raw)

    def schema(self, known: Definitions) -> dict[str, Any]:
        """JSON's null."""
        del known
        return {"type": "null"}


class BytesConverter(Converter):
    """bytes and bytearray: a binary without a tag."""

    name = "bytes"

    @once
    def literal_type(self) -> LiteralType:
        """The simple type BINARY."""
        return LiteralType(simple=SimpleType.BINARY)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """The bytes as they are."""
        return Literal(scalar=Scalar(binary=Binary(value=self.pack(value, raw))))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The bytes of any binary but a MessagePack, which holds bytes of its own."""
        if not literal.scalar.HasField("binary"):
            raise self.unreadable(literal)
        if is_packed(literal):
            return self.unpack(self.plain_of(literal), raw)
        return self.unpack(literal.scalar.binary.value, raw)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The bytes."""
        del raw
        if not isinstance(value, (bytes, bytearray)):
            raise mismatch(self.hint, value)
        return bytes(value)

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """The bytes, as the type that was asked for."""
        data = self.pack(plain, raw)
        return data if self.python_class is bytes else self.python_class(data)

    def schema(self, known: Definitions) -> dict[str, Any]:
        """A string of bytes."""
        del known
        return {"type": "string", "format": "binary"}
