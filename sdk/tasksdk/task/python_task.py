"""Tasks whose interface is Python's."""

from __future__ import annotations

import warnings
from enum import Enum
from typing import TYPE_CHECKING, Any

from tasksdk.errors import TaskDefinitionError
from tasksdk.interface import NativeInterface
from tasksdk.task.base import Task
from tasksdk.values.documentation import documentation_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class DeckField(str, Enum):
    """The parts that a task's page may have."""

    SOURCE_CODE = "Source Code"
    DEPENDENCIES = "Dependencies"
    TIMELINE = "Timeline"
    INPUT = "Input"
    OUTPUT = "Output"


DECK_FIELDS = tuple(DeckField)


class PythonTask(Task):
    """The base of tasks with a native interface; `environment` is `env_vars`, and a deck a report."""

    def __init__(  # noqa: PLR0917 - the documented signature
        self,
        task_type: str,
        name: str,
        task_config: Any = None,
        interface: NativeInterface | None = None,
        environment: Mapping[str, str] | None = None,
        disable_deck: bool | None = None,
        enable_deck: bool | None = None,
        deck_fields: tuple[DeckField, ...] | None = DECK_FIELDS,
        **kwargs: Any,
    ) -> None:
        if disable_deck is not None and enable_deck is not None:
            raise TaskDefinitionError(
                f"task {name}: disable_deck and enable_deck contradict each other", hint="use enable_deck"
            )
        if disable_deck is not None:
            warnings.warn("disable_deck is the older spelling of enable_deck", FutureWarning, stacklevel=2)
            enable_deck = not disable_deck
        for field in deck_fields or ():
            if not isinstance(field, DeckField):
                raise TaskDefinitionError(
                    f"task {name}: {field!r} is not a part of a deck",
                    hint=f"there are: {', '.join(map(str, DECK_FIELDS))}",
                )
        interface = interface or NativeInterface()
        if environment is not None:
            kwargs["env_vars"] = {**environment, **(kwargs.get("env_vars") or {})}
        if enable_deck is not None:
            kwargs["report"] = enable_deck
        if task_config is not None:
            kwargs["plugin_config"] = task_config
        if kwargs.get("docs") is None:
            kwargs["docs"] = documentation_of(interface.docs)
        super().__init__(task_type, name, interface, **kwargs)
        self._deck_fields = tuple(deck_fields or ())

    @property
    def task_config(self) -> Any:
        """The settings of the task's type, as the user gave them."""
        return self.settings.plugin_config

    @property
    def enable_deck(self) -> bool:
        """Whether its page is kept."""
        return self.report

    @property
    def disable_deck(self) -> bool:
        """Whether its page is thrown away."""
        warnings.warn("disable_deck is the older spelling of enable_deck", FutureWarning, stacklevel=2)
        return not self.report

    @property
    def deck_fields(self) -> tuple[DeckField, ...]:
        """The parts of its page; none where it has no page."""
        return self._deck_fields if self.report else ()
