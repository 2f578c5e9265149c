"""Enumerations, and Literal["a", "b"]."""

from __future__ import annotations

from enum import Flag
from typing import TYPE_CHECKING, Any, get_args

from flyteidl2.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl2.core.types_pb2 import EnumType, LiteralType, SimpleType

from tasksdk.types.converter import Converter, Plain, is_packed, kind_of
from tasksdk.types.mismatch import mismatch
from tasksdk.types.once import once
from tasksdk.types.schema import packed_type

if TYPE_CHECKING:
    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions

_JSON_VALUES = (str, int, float, bool)


class EnumConverter(Converter):
    """A member by its name; inside MessagePack by its value, where all values are plain."""

    name = "DefaultEnumTransformer"

    @once
    def by_value(self) -> bool:
        """Whether plain forms are the members' values."""
        return all(type(member.value) in _JSON_VALUES for member in self.python_class)

    @once
    def kinds(self) -> frozenset[str]:
        """The kinds of the values."""
        if not self.by_value:
            return frozenset({"str"})
        return frozenset(kind_of(member.value) for member in self.python_class)

    @once
    def literal_type(self) -> LiteralType:
        """The names; the combinations of a flag are integers."""
        if issubclass(self.python_class, Flag):
            return LiteralType(simple=SimpleType.INTEGER)
        return LiteralType(enum_type=EnumType(values=[member.name for member in self.python_class]))

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """The name."""
        del raw
        member = self._checked(value)
        if isinstance(member, Flag):
            return Literal(scalar=Scalar(primitive=Primitive(integer=member.value)))
        return Literal(scalar=Scalar(primitive=Primitive(string_value=member.name)))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The member of that name, or else of that value: other writers write values."""
        if is_packed(literal):
            return self.unpack(self.plain_of(literal), raw)
        primitive = literal.scalar.primitive
        if primitive.HasField("integer"):
            return self._of_value(primitive.integer)
        if not primitive.HasField("string_value"):
            raise self.unreadable(literal)
        name = primitive.string_value
        return self.python_class[name] if name in self.python_class.__members__ else self._of_value(name)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The value, or the name."""
        del raw
        member = self._checked(value)
        if isinstance(member, Flag) or self.by_value:
            return member.value
        return member.name

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """The member of that value or name."""
        del raw
        if not self.by_value and isinstance(plain, str) and plain in self.python_class.__members__:
            return self.python_class[plain]
        return self._of_value(plain)

    def _checked(self, value: Any) -> Any:
        if not isinstance(value, self.python_class):
            raise mismatch(self.hint, value, self._choices(), hint_text=f"write {self._example()}")
        return value

    def _of_value(self, value: Any) -> Any:
        try:
            return self.python_class(value)
        except ValueError:
            pass
        if isinstance(value, str) and value in self.python_class.__members__:
            return self.python_class[value]
        raise mismatch(self.hint, value, self._choices())

    def _choices(self) -> str:
        return f"its members are {', '.join(self.python_class.__members__)}"

    def _example(self) -> str:
        first = next(iter(self.python_class.__members__), "MEMBER")
        return f"{self.python_class.__name__}.{first}"

    def schema(self, known: Definitions) -> dict[str, Any]:
        """The choices."""
        del known
        return {"enum": [member.value if self.by_value else member.name for member in self.python_class]}


class ChoiceConverter(Converter):
    """One of the values that a typing.Literal lists."""

    name = "Literal"

    def __init__(self, hint: Any, python_class: Any = None) -> None:
        super().__init__(hint, python_class)
        self._choices = get_args(hint)

    @once
    def _kinds(self) -> set[type]:
        return set(map(type, self._choices))

    @once
    def kinds(self) -> frozenset[str]:
        """The kinds of the choices."""
        return frozenset(kind_of(_written(choice)) for choice in self._choices)

    @once
    def literal_type(self) -> LiteralType:
        """An enumeration of text, a simple type, or a struct where the choices are of several kinds."""
        if self._kinds == {str}:
            return LiteralType(enum_type=EnumType(values=self._choices))
        if self._kinds <= {int, bool} and len(self._kinds) == 1:
            return LiteralType(simple=SimpleType.BOOLEAN if self._kinds == {bool} else SimpleType.INTEGER)
        return packed_type(self)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """A primitive, or MessagePack."""
        plain = self.pack(value, raw)
        if self._kinds == {str}:
            return Literal(scalar=Scalar(primitive=Primitive(string_value=plain)))
        if self._kinds == {int}:
            return Literal(scalar=Scalar(primitive=Primitive(integer=plain)))
        if self._kinds == {bool}:
            return Literal(scalar=Scalar(primitive=Primitive(boolean=plain)))
        return super().to_literal(value, raw)

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The choice."""
        field = literal.scalar.primitive.WhichOneof("value")
        if field in ("string_value", "integer", "boolean"):
            return self.unpack(getattr(literal.scalar.primitive, field), raw)
        return self.unpack(self.plain_of(literal), raw)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The choice; a member of an enumeration by its name."""
        del raw
        for choice in self._choices:
            if type(choice) is type(value) and choice == value:
                return _written(choice)
        raise mismatch(self.hint, value)

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """The choice."""
        del raw
        for choice in self._choices:
            written = _written(choice)
            if type(written) is type(plain) and written == plain:
                return choice
        raise mismatch(self.hint, plain)

    def rank(self, value: object) -> int:
        """Exactly it where it is one of the choices."""
        return 0 if any(type(choice) is type(value) and choice == value for choice in self._choices) else 2

    def schema(self, known: Definitions) -> dict[str, Any]:
        """The choices."""
        del known
        return {"enum": [_written(choice) for choice in self._choices if not isinstance(choice, bytes)]}


def _written(choice: Any) -> Plain:
    return choice if type(choice) in (*_JSON_VALUES, bytes, type(None)) else choice.name
