"""The base of transformers that users write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from flyteidl2.core.literals_pb2 import Literal
    from flyteidl2.core.types_pb2 import LiteralType

T = TypeVar("T")


class TypeTransformer(Generic[T]):
    """Converts the values of one class; register it with `TypeEngine.register`.

    `to_literal` and `to_python_value` may be plain or async, and may take the context before their other parameters.
    """

    def __init__(self, name: str, t: type[T], enable_type_assertions: bool = True) -> None:
        self._name = name
        self._type = t
        self._type_assertions_enabled = enable_type_assertions

    @property
    def name(self) -> str:
        """A name for messages and for the variants of a union."""
        return self._name

    @property
    def python_type(self) -> type[T]:
        """The class this transformer serves, with its subclasses."""
        return self._type

    @property
    def type_assertions_enabled(self) -> bool:
        """Whether values are checked before they are converted."""
        return self._type_assertions_enabled

    def assert_type(self, t: type[T], v: T) -> None:
        """Refuse a value that is not of the type, by raising TypeError."""
        if not isinstance(v, t):
            raise TypeError(f"expected {t.__qualname__}, got {type(v).__qualname__}")

    def get_literal_type(self, t: type[T]) -> LiteralType:
        """The literal type of the class."""
        raise NotImplementedError(f"{type(self).__qualname__} has no get_literal_type")

    def to_literal(self, python_val: T, python_type: type[T], expected: LiteralType) -> Literal | Awaitable[Literal]:
        """The literal of a value."""
        raise NotImplementedError(f"{type(self).__qualname__} has no to_literal")

    def to_python_value(self, lv: Literal, expected_python_type: type[T]) -> T | Awaitable[T]:
        """The value of a literal."""
        raise NotImplementedError(f"{type(self).__qualname__} has no to_python_value")

    def guess_python_type(self, literal_type: LiteralType) -> type[T]:
        """The class for a literal type, where it is this transformer's; ValueError otherwise."""
        raise ValueError(f"{self._name} reads no {literal_type}")

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}({self._name!r}, {getattr(self._type, '__qualname__', self._type)})"


AnyTransformer = TypeTransformer[Any]
