"""The type engine: Python values to literals and back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from tasksdk.errors import ConversionError, TaskInputError
from tasksdk.types.raw_data import RawData, ThisProcess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flyteidl2.core.literals_pb2 import Literal, LiteralMap
    from flyteidl2.core.types_pb2 import LiteralType

    from tasksdk.types.transformer import TypeTransformer


class _ToLiteral:
    """`to_literal`, and `to_literal.aio`."""

    def __call__(self, *arguments: Any, subject: str = "", **named: Any) -> Literal:
        """The literal of a value.

        Takes `(value, python_type, literal_type)`, and a context before them: a RawData, or whatever has a
        `raw_data_path`. `subject` names the parameter in messages.

        Raises:
            ConversionError: the value does not fit the type.
        """
        return _written(*_writing(arguments, named), subject)

    async def aio(self, *arguments: Any, subject: str = "", **named: Any) -> Literal:
        """The same without blocking the event loop."""
        from tasksdk.types.registry import converter_for

        request = _writing(arguments, named)
        if not converter_for(request[1]).blocking:
            return _written(*request, subject)
        from tasksdk.types.waiting import in_thread

        literal: Literal = await in_thread(_written, *request, subject)
        return literal


class _ToPythonValue:
    """`to_python_value`, and `to_python_value.aio`."""

    def __call__(self, *arguments: Any, subject: str = "", **named: Any) -> Any:
        """The value of a literal.

        Takes `(literal, python_type)`, and a context before them as `to_literal` does.

        Raises:
            ConversionError: the literal holds no value of the type.
        """
        return _read(*_reading(arguments, named), subject)

    async def aio(self, *arguments: Any, subject: str = "", **named: Any) -> Any:
        """The same without blocking the event loop."""
        from tasksdk.types.registry import converter_for

        request = _reading(arguments, named)
        if not converter_for(request[1]).blocking:
            return _read(*request, subject)
        from tasksdk.types.waiting import in_thread

        return await in_thread(_read, *request, subject)


class TypeEngine:
    """Converts values by their types; register transformers for classes of your own."""

    to_literal: ClassVar[_ToLiteral] = _ToLiteral()
    to_python_value: ClassVar[_ToPythonValue] = _ToPythonValue()

    @classmethod
    def register(
        cls,
        transformer: TypeTransformer[Any] | type[TypeTransformer[Any]],
        additional_types: Iterable[Any] = (),
        *,
        override: bool = False,
    ) -> None:
        """Lets a transformer serve its class and its subclasses, and the additional types.

        Raises:
            TaskDefinitionError: one of the types has a transformer already.
        """
        from tasksdk.types import registry

        made: Any = transformer() if isinstance(transformer, type) else transformer  # type: ignore[call-arg]  # a user's
        registry.register(made, additional_types or (), override=override)

    @classmethod
    def to_literal_type(cls, *arguments: Any, **named: Any) -> LiteralType:
        """The literal type of a Python type; takes a context before it.

        Raises:
            TaskDefinitionError: the type cannot be resolved.
        """
        from flyteidl2.core.types_pb2 import LiteralType

        from tasksdk.types.registry import converter_for

        hint = named["python_type"] if "python_type" in named else arguments[-1]
        found = LiteralType()
        found.CopyFrom(converter_for(hint).literal_type)
        return found

    @classmethod
    def guess_python_type(cls, literal_type: LiteralType) -> Any:
        """The Python type that a literal type most likely came from.

        Raises:
            ConversionError: the literal type has no form.
        """
        from tasksdk.types.guess import guessed

        return guessed(literal_type)

    @classmethod
    def dict_to_literal_map(
        cls, values: Mapping[str, Any], types: Mapping[str, Any], context: object = None
    ) -> LiteralMap:
        """The literals of named values, each of its type.

        Raises:
            ConversionError: a value does not fit; the message names the parameter.
        """
        from flyteidl2.core.literals_pb2 import LiteralMap

        raw = _raw_data(context)
        return LiteralMap(
            literals={name: _written(value, types[name], None, raw, name) for name, value in values.items()}
        )

    @classmethod
    def literal_map_to_kwargs(
        cls, literals: LiteralMap, types: Mapping[str, Any], context: object = None
    ) -> dict[str, Any]:
        """The values of named literals, each of its type, in the order of the types.

        Raises:
            TaskInputError: a name is missing or unknown.
            ConversionError: a literal does not fit; the message names the parameter.
        """
        raw = _raw_data(context)
        found = literals.literals
        if unknown := sorted(name for name in found if name not in types):
            raise TaskInputError(f"there is no parameter {', '.join(unknown)}; there are {', '.join(types) or 'none'}")
        return {name: _read(found[name], hint, raw, name) for name, hint in types.items() if name in found}


def _writing(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any, Any, RawData]:
    context, value, hint, expected = _request(
        "to_literal", arguments, named, {"value": _VALUE, "python_type": ("python_type",), "literal_type": _EXPECTED}
    )
    return value, hint, expected, _raw_data(context)


def _reading(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any, RawData]:
    context, literal, hint = _request(
        "to_python_value",
        arguments,
        named,
        {"literal": _LITERAL, "python_type": ("python_type", "expected_python_type")},
    )
    return literal, hint, _raw_data(context)


_VALUE = ("value", "python_val")
_EXPECTED = ("literal_type", "expected")
_LITERAL = ("literal", "lv")


def _request(
    method: str, arguments: tuple[Any, ...], named: dict[str, Any], wanted: dict[str, tuple[str, ...]]
) -> list[Any]:
    """The context and the arguments in order, from either API's spelling of a call."""
    known = {spelling: name for name, spellings in wanted.items() for spelling in spellings}
    found = {known[name]: value for name, value in named.items() if name in known}
    rest = [name for name in wanted if name not in found]
    context = named.get("ctx", named.get("context"))
    positional = list(arguments)
    given = "ctx" in named or "context" in named
    # (context, value, type) and (value, type, literal type) are as long as each other.
    leads = rest[-1:] == ["literal_type"] and len(positional) == len(rest) and not _ends_typed(positional)
    if not given and (leads or len(positional) == len(rest) + 1):
        context = positional.pop(0)
    if len(positional) == len(rest) - 1 and rest[-1:] == ["literal_type"]:
        positional.append(None)
    unknown = [name for name in named if name not in known and name not in ("ctx", "context")]
    if len(positional) != len(rest) or unknown:
        raise TypeError(f"TypeEngine.{method} takes ({', '.join(wanted)}), with a context before them")
    return [context, *({**found, **dict(zip(rest, positional, strict=True))}[name] for name in wanted)]


def _ends_typed(positional: list[Any]) -> bool:
    """Whether the last argument is a literal type, or stands for none."""
    last = positional[-1]
    if last is None:
        first = positional[0]
        holds = hasattr(getattr(first, "data", None), "task_context")
        return not (holds or isinstance(first, RawData) or hasattr(first, "raw_data_path"))
    return hasattr(last, "DESCRIPTOR") and not isinstance(last, type)


def _raw_data(context: object) -> RawData:
    if isinstance(context, RawData):
        return context
    # A `Context` holds the running task's.
    context = getattr(getattr(context, "data", None), "task_context", context)
    if isinstance(context, (str, os.PathLike)):
        return RawData(context)
    below = getattr(context, "raw_data_path", None) or getattr(context, "path", None)
    return _raw_data(below) if below else ThisProcess()


def _written(value: Any, hint: Any, expected: LiteralType | None, raw: RawData, subject: str) -> Literal:
    from tasksdk.types.registry import converter_for

    converter = converter_for(hint)
    try:
        if expected is not None and expected != converter.literal_type:
            from tasksdk.types.agreement import check_agreement

            check_agreement(expected, converter)
        return converter.to_literal(value, raw)
    except ConversionError as error:
        error.named(subject)
        raise


def _read(literal: Literal, hint: Any, raw: RawData, subject: str) -> Any:
    from tasksdk.types.registry import converter_for

    try:
        return converter_for(hint).from_literal(literal, raw)
    except ConversionError as error:
        error.named(subject)
        raise
