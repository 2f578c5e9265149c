"""Values by name to serialized literals by name, and back: the border between Python and the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk import wire
from tasksdk.errors import ConversionError
from tasksdk.interface import type_engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flyteidl2.core.literals_pb2 import Literal, LiteralMap

Literals = dict[str, bytes]
PLAIN_TYPES = frozenset({int, float, str, bool, type(None)})


def to_literals(values: Mapping[str, Any], kinds: Mapping[str, Any], where: str) -> Literals:
    """Convert each value to its type's literal.

    Raises:
        ConversionError: a value is not of its type; the message names the parameter.
    """
    return {name: to_literal(value, kinds[name], f"{where}: {name}") for name, value in values.items()}


def to_literal(value: Any, kind: Any, where: str) -> bytes:
    """Convert one value to a serialized literal."""
    if type(value) is kind and kind in PLAIN_TYPES:
        found = wire.plain(value)
        if found is not None:
            return found
    engine = type_engine()
    try:
        literal: Literal = engine.to_literal(value, kind, engine.to_literal_type(kind))
    except (ConversionError, TypeError, ValueError) as error:
        raise _named(error, where) from error
    return literal.SerializeToString(deterministic=True)


async def to_literal_aio(value: Any, kind: Any, where: str) -> bytes:
    """Convert one value, where that may wait for an upload."""
    if type(value) is kind and kind in PLAIN_TYPES:
        return to_literal(value, kind, where)
    try:
        engine = type_engine()
        literal: Literal = await engine.to_literal.aio(value, kind, engine.to_literal_type(kind))
    except (ConversionError, TypeError, ValueError) as error:
        raise _named(error, where) from error
    return literal.SerializeToString(deterministic=True)


def to_value(literal: bytes, kind: Any, where: str) -> Any:
    """Convert one serialized literal to a value of the type.

    Raises:
        ConversionError: it is a literal of another type; the message names the parameter.
    """
    if kind in PLAIN_TYPES:
        value = wire.read_plain(literal)
        if type(value) is kind:
            return value
    try:
        return type_engine().to_python_value(message(literal), kind)
    except (ConversionError, TypeError, ValueError) as error:
        raise _named(error, where) from error


async def to_value_aio(literal: bytes, kind: Any, where: str) -> Any:
    """Convert one serialized literal, where that may wait for a download."""
    if kind in PLAIN_TYPES:
        value = wire.read_plain(literal)
        if type(value) is kind:
            return value
    try:
        return await type_engine().to_python_value.aio(message(literal), kind)
    except (ConversionError, TypeError, ValueError) as error:
        raise _named(error, where) from error


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


def _named(error: Exception, where: str) -> ConversionError:
    text = error.message if isinstance(error, ConversionError) else str(error)
    return ConversionError(f"{where}: {text}", hint=error.hint if isinstance(error, ConversionError) else None)
