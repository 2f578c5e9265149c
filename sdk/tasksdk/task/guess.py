"""A native interface from a typed message, for tasks whose code is elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasksdk.interface import NativeInterface
from tasksdk.types.engine import TypeEngine

if TYPE_CHECKING:
    from flyteidl2.core.interface_pb2 import TypedInterface, VariableMap


def native_interface_of(typed: TypedInterface) -> NativeInterface:
    """The native types that the typed ones most likely came from."""

    def kinds(variables: VariableMap) -> dict[str, object]:
        return {entry.key: TypeEngine.guess_python_type(entry.value.type) for entry in variables.variables}

    return NativeInterface(kinds(typed.inputs), kinds(typed.outputs))
