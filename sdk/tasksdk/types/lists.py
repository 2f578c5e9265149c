"""list, set, frozenset and tuples of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from flyteidl2.core.literals_pb2 import Literal, LiteralCollection
from flyteidl2.core.types_pb2 import LiteralType, TypeStructure

from tasksdk.types.converter import Converter, Plain, binary_literal, is_packed
from tasksdk.types.mismatch import inside, mismatch
from tasksdk.types.msgpack import pack
from tasksdk.types.once import once

if TYPE_CHECKING:
    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions

LARGE = 256
"""From this many elements a collection travels as one MessagePack binary instead of one literal each."""


class ListConverter(Converter):
    """Elements in order: a collection of literals, or one binary where there are many."""

    name, kinds = "Typed List", frozenset({"list"})

    def __init__(self, hint: Any, python_class: Any = None) -> None:
        super().__init__(hint, python_class or list)
        arguments = get_args(hint)
        self._item_hint = arguments[0] if arguments else Any

    @once
    def item(self) -> Converter:
        """The converter of the elements."""
        from tasksdk.types.registry import converter_for

        return converter_for(self._item_hint)

    @property
    def parts(self) -> tuple[Converter, ...]:  # type: ignore[override]  # worked out when asked, for types may contain themselves
        """The elements."""
        return (self.item,)

    @once
    def literal_type(self) -> LiteralType:
        """A collection."""
        found = LiteralType(collection_type=self.item.literal_type)
        if self.python_class is not list:
            found.structure.CopyFrom(TypeStructure(tag=self.python_class.__name__))
        return found

    def items(self, value: Any, raw: RawData) -> list[Any]:
        """The elements; those of a set in the order of their bytes, so that equal sets make equal literals."""
        if not isinstance(value, self.python_class):
            raise mismatch(self.hint, value)
        if self.python_class in (set, frozenset):
            return sorted(value, key=lambda item: self.item.packed(item, raw))
        return list(value)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """A collection, or a binary."""
        items = self.items(value, raw)
        if len(items) >= LARGE:
            return binary_literal(pack(self.item.pack_all(items, raw)))
        literals = []
        for place, item in enumerate(items):
            with inside(f"[{place}]"):
                literals.append(self.item.to_literal(item, raw))
        return Literal(collection=LiteralCollection(literals=literals))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The elements of either form."""
        if is_packed(literal):
            return self.unpack(self.plain_of(literal), raw)
        if not literal.HasField("collection"):
            raise self.unreadable(literal)
        items = []
        for place, item in enumerate(literal.collection.literals):
            with inside(f"[{place}]"):
                items.append(self.item.from_literal(item, raw))
        return self.made(items)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """A list."""
        return self.item.pack_all(self.items(value, raw), raw)

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads a list."""
        if not isinstance(plain, (list, tuple)):
            raise mismatch(self.hint, plain)
        return self.made(self.item.unpack_all(list(plain), raw))

    def made(self, items: list[Any]) -> Any:
        """The elements as the type that was asked for."""
        try:
            return items if self.python_class is list else self.python_class(items)
        except TypeError as error:
            raise mismatch(self.hint, items, str(error)) from None

    def schema(self, known: Definitions) -> dict[str, Any]:
        """An array."""
        unique = {"uniqueItems": True} if self.python_class in (set, frozenset) else {}
        return {"type": "array", "items": self.item.schema(known), **unique}
