"""Values by name to serialized literals by name, and back: the border between Python and the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tasksdk import wire
from tasksdk.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flyteidl2.core.literals_pb2 import Literal, LiteralMap

Literals = dict[str, bytes]
PLAIN_TYPES = frozenset({int, float, str, bool, type(None)})


class Bounded(Protocol):
    """Something with a name whose inputs and outputs have at most so many bytes."""

    name: str

    @property
    def max_inline_io_bytes(self) -> int:
        """The most bytes of each."""


def to_literals(values: Mapping[str, Any], kinds: Mapping[str, Any], where: str, carrier: Any = None) -> Literals:
    """Convert each value to its type's literal.

    Raises:
        ConversionError: a value is not of its type; the message names the parameter.
    """
    return {name: to_literal(value, kinds[name], f"{where}: {name}", carrier) for name, value in values.items()}


def to_literal(value: Any, kind: Any, where: str, carrier: Any = None) -> bytes:
    """Convert one value to a serialized literal; files go where `carrier`, a task's context, says."""
    if type(value) is kind and kind in PLAIN_TYPES:
        found = wire.plain(value)
        if found is not None:
            return found
    from tasksdk.types.engine import TypeEngine

    context = () if carrier is None else (carrier,)
    literal = TypeEngine.to_literal(*context, value, kind, TypeEngine.to_literal_type(kind), subject=where)
    return literal.SerializeToString(deterministic=True)


async def to_literal_aio(value: Any, kind: Any, where: str, carrier: Any = None) -> bytes:
    """Convert one value, where that may wait for an upload."""
    if kind in PLAIN_TYPES:
        return to_literal(value, kind, where, carrier)
    from tasksdk.types.engine import TypeEngine

    context = () if carrier is None else (carrier,)
    literal = await TypeEngine.to_literal.aio(*context, value, kind, TypeEngine.to_literal_type(kind), subject=where)
    return literal.SerializeToString(deterministic=True)


def to_value(literal: bytes, kind: Any, where: str, carrier: Any = None) -> Any:
    """Convert one serialized literal to a value of the type.

    Raises:
        ConversionError: it is a literal of another type; the message names the parameter.
    """
    if kind in PLAIN_TYPES:
        value = wire.read_plain(literal)
        if type(value) is kind:
            return value
    from tasksdk.types.engine import TypeEngine

    context = () if carrier is None else (carrier,)
    return TypeEngine.to_python_value(*context, message(literal), kind, subject=where)


async def to_value_aio(literal: bytes, kind: Any, where: str, carrier: Any = None) -> Any:
    """Convert one serialized literal, where that may wait for a download."""
    if kind in PLAIN_TYPES:
        return to_value(literal, kind, where, carrier)
    from tasksdk.types.engine import TypeEngine

    context = () if carrier is None else (carrier,)
    return await TypeEngine.to_python_value.aio(*context, message(literal), kind, subject=where)


def check_size(task: Bounded, written: bytes, what: str) -> None:
    """Refuse inputs or outputs beyond the task's `max_inline_io_bytes`; files count by their URI alone.

    Raises:
        ConversionError: they are larger.
    """
    if len(written) > task.max_inline_io_bytes:
        raise ConversionError(
            f"{task.name}: its {what} have {len(written)} bytes, and may have {task.max_inline_io_bytes}",
            hint="pass a File, a Dir or a DataFrame, or raise max_inline_io_bytes",
        )


def identity_of(literal: bytes) -> bytes:
    """What counts when two inputs are compared: the hash of the value where it has one, not where it lies."""
    if wire.read_plain(literal) is not wire.COMPLEX:
        return literal
    return _identity(message(literal))


def _identity(literal: Literal) -> bytes:
    if literal.hash:
        return b"hash:" + literal.hash.encode()
    which = literal.WhichOneof("value")
    if which == "collection":
        inner = [_identity(item) for item in literal.collection.literals]
        return b"[" + b"".join(b"%d:%s" % (len(item), item) for item in inner) + b"]"
    if which == "map":
        named = [(name.encode(), _identity(item)) for name, item in sorted(literal.map.literals.items())]
        return b"{" + b"".join(b"%d:%s%d:%s" % (len(name), name, len(item), item) for name, item in named) + b"}"
    return literal.SerializeToString(deterministic=True)


def message(literal: bytes) -> Literal:
    """The message of a serialized literal."""
    from flyteidl2.core.literals_pb2 import Literal

    return Literal.FromString(literal)


def map_message(literals: Literals) -> LiteralMap:
    """The message of serialized literals."""
    from flyteidl2.core.literals_pb2 import LiteralMap

    return LiteralMap.FromString(wire.write_map(literals))


def from_map_message(literal_map: LiteralMap) -> Literals:
    """Serialized literals of a message, in the order of their names."""
    literals = literal_map.literals
    return {name: literals[name].SerializeToString(deterministic=True) for name in sorted(literals)}
