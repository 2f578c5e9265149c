"""Transformers that users registered, behind the same face as the built-in converters."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tasksdk.errors import ConversionError
from tasksdk.types.converter import Converter
from tasksdk.types.hints import show
from tasksdk.types.mismatch import mismatch, shown_literal
from tasksdk.types.once import once
from tasksdk.types.waiting import finished

if TYPE_CHECKING:
    from collections.abc import Callable

    from flyteidl2.core.literals_pb2 import Literal
    from flyteidl2.core.types_pb2 import LiteralType

    from tasksdk.types.raw_data import RawData
    from tasksdk.types.transformer import AnyTransformer


class CustomConverter(Converter):
    """One type of a user's transformer."""

    blocks = True

    def __init__(self, hint: Any, transformer: AnyTransformer, python_class: Any = None) -> None:
        super().__init__(hint, python_class)
        self._transformer = transformer

    @property
    def name(self) -> str:  # type: ignore[override]  # the user's
        """The transformer's name."""
        return self._transformer.name

    @once
    def literal_type(self) -> LiteralType:
        """What the transformer says."""
        return self._transformer.get_literal_type(self.hint)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """Asks the transformer; what it raises becomes the reason."""
        try:
            if self._transformer.type_assertions_enabled and isinstance(self.python_class, type):
                self._transformer.assert_type(self.python_class, value)
            literal: Literal = _called(self._transformer.to_literal, raw, value, self.hint, self.literal_type)
        except ConversionError:
            raise
        except Exception as error:
            raise mismatch(self.hint, value, f"{self.name}: {error}") from error
        return literal

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """Asks the transformer."""
        try:
            return _called(self._transformer.to_python_value, raw, literal, self.hint)
        except ConversionError:
            raise
        except Exception as error:
            raise ConversionError(
                f"expected {show(self.hint)}, got {shown_literal(literal)}: {self.name}: {error}"
            ) from error


def _called(method: Callable[..., Any], raw: RawData, *arguments: Any) -> Any:
    """Calls with or without the leading context, and waits for what is awaitable."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [
        parameter
        for parameter in inspect.signature(method).parameters.values()
        if parameter.kind in positional and parameter.default is parameter.empty
    ]
    found = method(raw, *arguments) if len(required) > len(arguments) else method(*arguments)
    return finished(found) if inspect.isawaitable(found) else found
