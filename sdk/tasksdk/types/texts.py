"""Types whose values are their text: paths, decimals and UUIDs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyteidl2.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl2.core.types_pb2 import LiteralType, SimpleType

from tasksdk.types.converter import Converter, Plain
from tasksdk.types.mismatch import mismatch
from tasksdk.types.once import once

if TYPE_CHECKING:
    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions


class TextConverter(Converter):
    """str(value) there, and the class called with the text back."""

    kinds = frozenset({"str"})

    @property
    def name(self) -> str:  # type: ignore[override]  # each class has its own
        """The name of the class."""
        return str(self.python_class.__name__)

    @once
    def literal_type(self) -> LiteralType:
        """A string."""
        return LiteralType(simple=SimpleType.STRING)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """The text."""
        return Literal(scalar=Scalar(primitive=Primitive(string_value=self.pack(value, raw))))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """Reads the text."""
        if literal.scalar.primitive.HasField("string_value"):
            return self.unpack(literal.scalar.primitive.string_value, raw)
        return self.unpack(self.plain_of(literal), raw)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The text."""
        del raw
        if not isinstance(value, self.python_class):
            raise mismatch(self.hint, value)
        return str(value)

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads the text."""
        del raw
        try:
            if isinstance(plain, str):
                return self.python_class(plain)
        except (ArithmeticError, ValueError):
            pass
        raise mismatch(self.hint, plain)

    def schema(self, known: Definitions) -> dict[str, Any]:
        """A string."""
        del known
        return {"type": "string"}
