"""Which engines there are: the SDK's own, and those that other distributions announce."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from tasksdk.errors import EngineError, UserInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasksdk.engines.port import Engine

ENTRY_POINTS = "tasksdk.engines"
_OWN = {
    "docker": "tasksdk.engines.docker:DockerEngine",
    "process": "tasksdk.engines.process:ProcessEngine",
    "kubernetes": "tasksdk.engines.kubernetes:KubernetesEngine",
}


def open_engine(name: str, settings: Mapping[str, Any]) -> Engine:
    """The engine of that name, made from its own table of the configuration.

    Raises:
        EngineError: there is no such engine.
        UserInputError: the table has what the engine does not know.
    """
    factory = _factory(name)
    try:
        signature(factory).bind(**settings)
    except TypeError as error:
        hint = f"[tool.tasksdk.engines.{name}] may have: {', '.join(signature(factory).parameters)}"
        raise UserInputError(f"engine {name} cannot be opened with its settings: {error}", hint=hint) from None
    engine: Engine = factory(**settings)
    return engine


def _factory(name: str) -> Any:
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        return getattr(import_module(module), attribute)
    from importlib.metadata import entry_points

    found = entry_points(group=ENTRY_POINTS, name=name)
    if not found:
        known = sorted({*_OWN, *(point.name for point in entry_points(group=ENTRY_POINTS))})
        raise EngineError(f"there is no engine {name!r}", hint=f"write one of {', '.join(known)}")
    return next(iter(found)).load()
