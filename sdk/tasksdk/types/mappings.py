"""dict: a map of literals where keys are text, MessagePack otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from flyteidl2.core.literals_pb2 import Literal, LiteralMap
from flyteidl2.core.types_pb2 import LiteralType

from tasksdk.types.converter import Converter, Plain, binary_literal, is_packed
from tasksdk.types.lists import LARGE
from tasksdk.types.mismatch import inside, mismatch
from tasksdk.types.msgpack import pack
from tasksdk.types.once import once
from tasksdk.types.schema import packed_type

if TYPE_CHECKING:
    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions

_KEY_KINDS = frozenset({"none", "bool", "int", "float", "str", "bytes"})


class DictConverter(Converter):
    """dict[K, V]."""

    name = "Typed Dict"

    def __init__(self, hint: Any, python_class: Any = None) -> None:
        super().__init__(hint, python_class or dict)
        self._hints = get_args(hint)

    @once
    def key(self) -> Converter:
        """The converter of the keys."""
        from tasksdk.types.registry import converter_for

        return converter_for(self._hints[0])

    @once
    def item(self) -> Converter:
        """The converter of the values."""
        from tasksdk.types.registry import converter_for

        return converter_for(self._hints[1])

    @property
    def parts(self) -> tuple[Converter, ...]:  # type: ignore[override]  # worked out when asked, for types may contain themselves
        """Keys and values."""
        return (self.key, self.item)

    @once
    def kinds(self) -> frozenset[str]:
        """A dict; a list of pairs where a key may be one that cannot be a key of MessagePack."""
        return frozenset({"dict"} if self.key.kinds <= _KEY_KINDS else {"dict", "list"})

    @once
    def by_text(self) -> bool:
        """Whether the keys are plain text."""
        return self.key.name == "str"

    @once
    def literal_type(self) -> LiteralType:
        """A map, or a struct of MessagePack."""
        return LiteralType(map_value_type=self.item.literal_type) if self.by_text else packed_type()

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """A map, or a binary."""
        if not self.by_text or not isinstance(value, dict) or len(value) >= LARGE:
            return super().to_literal(value, raw)
        literals = {}
        for key, item in value.items():
            with inside(f"[{key!r}]"):
                literals[self.key.pack(key, raw)] = self.item.to_literal(item, raw)
        return Literal(map=LiteralMap(literals=literals))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The items of either form."""
        if not literal.HasField("map"):
            return self.unpack(self.plain_of(literal), raw)
        found = {}
        for key in sorted(literal.map.literals):
            with inside(f"[{key!r}]"):
                found[self.key.unpack(key, raw)] = self.item.from_literal(literal.map.literals[key], raw)
        return found

    def pack(self, value: Any, raw: RawData) -> Plain:
        """A dict of plain keys and values, or pairs of them."""
        if not isinstance(value, dict):
            raise mismatch(self.hint, value)
        pairs = []
        for key, item in value.items():
            with inside(f"[{key!r}]"):
                pairs.append([_hashable(self.key.pack(key, raw)), self.item.pack(item, raw)])
        try:
            return dict(pairs)
        except TypeError:
            return pairs

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads a dict."""
        if isinstance(plain, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in plain):
            pairs = plain
        elif isinstance(plain, dict):
            pairs = list(plain.items())
        else:
            raise mismatch(self.hint, plain)
        found = {}
        for key, item in pairs:
            with inside(f"[{key!r}]"):
                found[self._key(key, raw)] = self.item.unpack(item, raw)
        return found

    def _key(self, plain: Plain, raw: RawData) -> Any:
        """A key; a struct of JSON holds every key as text."""
        if isinstance(plain, str) and self.key.kinds == {"int"} and plain.lstrip("-").isdecimal():
            return self.key.unpack(int(plain), raw)
        return self.key.unpack(plain, raw)

    def schema(self, known: Definitions) -> dict[str, Any]:
        """An object."""
        names = {} if self.by_text else {"propertyNames": self.key.schema(known)}
        return {"type": "object", **names, "additionalProperties": self.item.schema(known)}


class UntypedDictConverter(Converter):
    """A dict of unknown contents: MessagePack where they are plain values, else a pickle in the same binary."""

    name, kinds = "Untyped Dict", frozenset({"dict", "bytes"})

    @once
    def literal_type(self) -> LiteralType:
        """A struct of MessagePack."""
        return packed_type()

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """A binary, whose tag says which."""
        from tasksdk.types.pickles import PICKLE

        plain = self.pack(value, raw)
        return binary_literal(plain, PICKLE) if isinstance(plain, bytes) else binary_literal(pack(plain))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """Reads either binary, and a map of literals."""
        from tasksdk.types.anything import AnyConverter

        if not is_packed(literal) and not literal.scalar.HasField("generic"):
            found = AnyConverter(Any).from_literal(literal, raw)
            if not isinstance(found, dict):
                raise self.unreadable(literal)
            return found
        return self.unpack(self.plain_of(literal), raw)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The dict itself where it is plain, else its pickle."""
        del raw
        from tasksdk.types.anything import is_plain
        from tasksdk.types.pickles import pickled

        if not isinstance(value, dict):
            raise mismatch(self.hint, value)
        return value if is_plain(value) else pickled(value)

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads either form."""
        del raw
        from tasksdk.types.pickles import unpickled

        found = unpickled(plain) if isinstance(plain, bytes) else plain
        if not isinstance(found, dict):
            raise mismatch(self.hint, plain)
        return found

    def schema(self, known: Definitions) -> dict[str, Any]:
        """Any object."""
        del known
        return {"type": "object"}


def _hashable(plain: Plain) -> Plain:
    return tuple(map(_hashable, plain)) if isinstance(plain, list) else plain
