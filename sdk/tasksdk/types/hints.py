"""Reading type hints: what stands behind Annotated, NewType, aliases and type variables."""

from __future__ import annotations

import sys
import types
import typing
from typing import Any, TypeVar, get_args, get_origin

from tasksdk.errors import TaskDefinitionError

_KNOWN_PACKAGES = ("numpy", "pandas", "polars", "pyarrow")
_WRAPPERS = tuple(
    getattr(module, name)
    for name in ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")
    for module in (typing, sys.modules.get("typing_extensions"))
    if hasattr(module, name)
)


def is_untyped(hint: Any) -> bool:
    """Whether nothing is said: Any, object, or a parameter without an annotation as `inspect` marks it."""
    return hint is Any or hint is object or (isinstance(hint, type) and _full_name(hint) == "inspect._empty")


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The hint without its wrappers, and the metadata of every Annotated around it, outermost last."""
    metadata: tuple[Any, ...] = ()
    while True:
        origin = get_origin(hint)
        if hint is None:
            return type(None), metadata
        if origin is typing.Annotated:
            metadata += hint.__metadata__
            hint = hint.__origin__
        elif origin in _WRAPPERS:
            hint = get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif isinstance(hint, TypeVar):
            hint = _of_variable(hint)
        elif hasattr(hint, "__value__") and hasattr(hint, "__type_params__") and not isinstance(hint, type):
            hint = hint.__value__
        elif isinstance(hint, (str, typing.ForwardRef)):
            raise TaskDefinitionError(
                f"the type {hint!r} is a name that could not be resolved",
                hint="define or import it in the module that uses it, outside of `if TYPE_CHECKING:`",
            )
        else:
            return hint, metadata


def _of_variable(variable: TypeVar) -> Any:
    if variable.__constraints__:
        return typing.Union[variable.__constraints__]  # noqa: UP007 - the variants are known at run time
    return variable.__bound__ if variable.__bound__ is not None else Any


def is_union(hint: Any) -> bool:
    """Whether the hint is Union[...], Optional[...] or A | B."""
    return get_origin(hint) in (typing.Union, types.UnionType)


def substituted(hint: Any, variables: dict[Any, Any]) -> Any:
    """The hint with type variables replaced, as deep as they stand."""
    if not variables:
        return hint
    if isinstance(hint, TypeVar):
        return variables.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    if not parameters or isinstance(hint, type):
        return hint
    return hint[tuple(variables.get(parameter, parameter) for parameter in parameters)]


def variables_of(hint: Any) -> dict[Any, Any]:
    """What the type variables of a generic class stand for in `hint`, its generic bases included."""
    origin = get_origin(hint) or hint
    own = dict(zip(getattr(origin, "__parameters__", ()), get_args(hint), strict=False))
    found = dict(own)
    for base in getattr(origin, "__orig_bases__", ()):
        if isinstance(get_origin(base), type) and get_origin(base) is not typing.Generic:
            found |= {
                variable: meant
                for variable, meant in variables_of(substituted(base, own)).items()
                if variable not in own
            }
    return found


def fields_of(cls: type, variables: dict[Any, Any]) -> dict[str, Any]:
    """The resolved annotations of a class.

    Raises:
        TaskDefinitionError: an annotation names something that cannot be found.
    """
    try:
        hints = typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except NameError as error:
        raise TaskDefinitionError(
            f"a field of {cls.__qualname__} has a type that cannot be resolved: {error}",
            hint="define or import it in the module of the class, outside of functions and of `if TYPE_CHECKING:`",
        ) from None
    return {name: substituted(hint, variables) for name, hint in hints.items()}


def show(hint: Any) -> str:  # noqa: PLR0911 - one line per form
    """The hint as a user would write it."""
    if hint is type(None) or hint is None:
        return "None"
    if is_untyped(hint):
        return "Any"
    if isinstance(hint, type) and not get_args(hint):
        package = hint.__module__.partition(".")[0]
        return (
            f"{package}.{hint.__name__}" if package in _KNOWN_PACKAGES else hint.__qualname__.rpartition("<locals>.")[2]
        )
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return show(hint.__origin__)
    if is_union(hint):
        return " | ".join(map(show, arguments))
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if isinstance(origin, type):
        return f"{show(origin)}[{', '.join('...' if item is Ellipsis else show(item) for item in arguments)}]"
    return str(hint).removeprefix("typing.")
