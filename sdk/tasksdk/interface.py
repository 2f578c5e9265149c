"""A task's inputs and outputs as Python knows them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from tasksdk.errors import TaskDefinitionError, TaskInputError, TaskOutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flyteidl2.core.interface_pb2 import TypedInterface

COROUTINE_FLAG = 0x80  # inspect.CO_COROUTINE, without importing inspect
_VARARGS_FLAGS = 0x04 | 0x08


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


def kwtypes(**kwargs: Any) -> OrderedDict[str, Any]:
    """An ordered mapping of names to types."""
    return OrderedDict(kwargs)


class NativeInterface:
    """Inputs as name to (type, default), `REQUIRED` where there is none, and outputs as name to type.

    `output_tuple` is the NamedTuple that the function returns, where it does.
    """

    __slots__ = ("defaults", "docs", "inputs", "output_tuple", "outputs")

    def __init__(
        self,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | type | None = None,
        docstring: str | None = None,
        *,
        output_tuple: type | None = None,
    ) -> None:
        self.inputs: dict[str, Any] = {}
        self.defaults: dict[str, Any] = {}
        for name, kind in (inputs or {}).items():
            if isinstance(kind, tuple):
                self.inputs[name], self.defaults[name] = kind
            else:
                self.inputs[name] = kind
        if isinstance(outputs, type) and hasattr(outputs, "_fields"):
            output_tuple, outputs = outputs, dict(outputs.__annotations__)
        self.outputs: dict[str, Any] = dict(outputs or {})  # type: ignore[arg-type] # a NamedTuple was taken apart above
        self.output_tuple = output_tuple
        self.docs = docstring

    @property
    def inputs_with_defaults(self) -> dict[str, tuple[Any, Any]]:
        """Name to (type, default)."""
        return {name: (kind, self.defaults.get(name, REQUIRED)) for name, kind in self.inputs.items()}

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any], task: str) -> dict[str, Any]:
        """Every input by its name, in the interface's order, defaults filled in.

        Raises:
            TaskInputError: too many, too few, or unknown.
        """
        if len(kwargs) == len(self.inputs) and not args:
            if kwargs.keys() == self.inputs.keys():
                return {name: kwargs[name] for name in self.inputs}
        elif len(args) > len(self.inputs):
            raise TaskInputError(f"{task} takes {len(self.inputs)} inputs, {len(args)} were given")
        given = dict(zip(self.inputs, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.inputs:
                known = ", ".join(self.inputs) or "none"
                raise TaskInputError(f"{task} has no input {name!r}", hint=f"its inputs are: {known}")
            if name in given:
                raise TaskInputError(f"{task} got its input {name!r} twice")
            given[name] = value
        bound = {}
        for name in self.inputs:
            if name in given:
                bound[name] = given[name]
            elif name in self.defaults:
                bound[name] = self.defaults[name]
            else:
                raise TaskInputError(f"{task} needs its input {name!r}", hint=f"write {name}=...")
        return bound

    def name_outputs(self, value: Any, task: str) -> dict[str, Any]:
        """What a task returned, by the names of its outputs.

        Raises:
            TaskOutputError: not as many values as outputs.
        """
        outputs = self.outputs
        if not outputs:
            if value is not None:
                raise TaskOutputError(
                    f"{task} has no outputs and returned {_kind(value)}", hint="annotate what it returns: -> int"
                )
            return {}
        if len(outputs) == 1 and (self.output_tuple is None or not isinstance(value, self.output_tuple)):
            return {next(iter(outputs)): value}
        if not isinstance(value, (tuple, list)) or len(value) != len(outputs):
            raise TaskOutputError(f"{task} has {len(outputs)} outputs and returned {_kind(value)}")
        return dict(zip(outputs, value, strict=True))

    def join_outputs(self, named: Mapping[str, Any]) -> Any:
        """The value that a caller of the task gets."""
        if not self.outputs:
            return None
        values = [named[name] for name in self.outputs]
        if self.output_tuple is not None:
            return self.output_tuple(*values)
        return values[0] if len(values) == 1 else tuple(values)

    def to_typed(self) -> TypedInterface:
        """The typed message, as a template carries it."""
        from flyteidl2.core.interface_pb2 import TypedInterface, Variable, VariableEntry, VariableMap

        from tasksdk.types.engine import TypeEngine

        def variables(kinds: Mapping[str, Any]) -> VariableMap:
            entries = []
            for name, kind in kinds.items():
                variable = Variable(type=TypeEngine.to_literal_type(kind), description=name)
                entries.append(VariableEntry(key=name, value=variable))
            return VariableMap(variables=entries)

        return TypedInterface(inputs=variables(self.inputs), outputs=variables(self.outputs))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NativeInterface):
            return NotImplemented
        return (self.inputs, self.defaults, self.outputs) == (other.inputs, other.defaults, other.outputs)

    def __hash__(self) -> int:
        return hash((*self.inputs, None, *self.outputs))

    def __repr__(self) -> str:
        return f"NativeInterface(inputs={self.inputs_with_defaults!r}, outputs={self.outputs!r})"


def interface_of(function: Callable[..., Any]) -> NativeInterface:
    """Read a function's parameters and annotations; an unannotated one is Any.

    Raises:
        TaskDefinitionError: `*args`, `**kwargs` or positional-only parameters, or an annotation that names nothing.
    """
    code = getattr(function, "__code__", None)
    if code is None:
        raise TaskDefinitionError(f"{function!r} is not a function", hint="decorate a plain function")
    if code.co_flags & _VARARGS_FLAGS or code.co_posonlyargcount:
        raise TaskDefinitionError(
            f"task {function.__qualname__}: *args, **kwargs and positional-only parameters cannot be passed by name",
            hint="name each parameter",
        )
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    positional = names[: code.co_argcount]
    defaults = function.__defaults__ or ()
    values = dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    values.update(function.__kwdefaults__ or {})
    hints = _hints(function)
    inputs = {name: (hints.get(name, Any), values[name]) if name in values else hints.get(name, Any) for name in names}
    returned = hints.get("return", Any)
    interface = NativeInterface(
        None, outputs=_outputs(returned), docstring=function.__doc__, output_tuple=_named_tuple(returned)
    )
    for name, kind in inputs.items():
        interface.inputs[name] = kind[0] if name in values else kind
    interface.defaults.update({name: values[name] for name in names if name in values})
    if "return" not in hints:
        interface.outputs = {"o0": Any}
    return interface


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    from typing import get_type_hints

    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise TaskDefinitionError(
            f"task {function.__qualname__}: an annotation cannot be read: {error}",
            hint="import the names of the annotations in the task's module, outside `if TYPE_CHECKING`",
        ) from None


def _named_tuple(returned: Any) -> type | None:
    return returned if isinstance(returned, type) and hasattr(returned, "_fields") else None


def _outputs(returned: Any) -> dict[str, Any]:
    if returned is None or returned is type(None):
        return {}
    if _named_tuple(returned) is not None:
        return dict(_hints(returned))
    args = getattr(returned, "__args__", ())
    if getattr(returned, "__origin__", None) is tuple and args and args[-1] is not Ellipsis:
        return {f"o{n}": kind for n, kind in enumerate(args)}
    return {"o0": returned}


def _kind(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a value of type {type(value).__name__}"
