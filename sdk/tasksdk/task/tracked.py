"""Where in the user's modules an object was made, and under which name it is found there."""

from __future__ import annotations

import sys
from typing import Any


class Tracked:
    """Remembers the module whose top level made the object."""

    _instantiated_in: str | None = None
    _overridden: Tracked | None = None

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        """Look up the stack for the module that is being executed."""
        instance = super().__new__(cls)
        frame = sys._getframe(1)  # noqa: SLF001 - the cheap way to the caller; inspect.stack reads sources
        while frame is not None:
            if frame.f_code.co_name == "<module>":
                instance._instantiated_in = frame.f_globals.get("__name__")
                break
            frame = frame.f_back  # type: ignore[assignment] # None ends the loop
        return instance

    @property
    def instantiated_in(self) -> str | None:
        """The module whose top level made this; None when it was made later."""
        return self._instantiated_in

    @property
    def origin(self) -> Tracked:
        """Itself, or what it is an override of: that is what a module knows."""
        return self if self._overridden is None else self._overridden.origin

    @property
    def lhs(self) -> str | None:
        """The variable it was assigned to; None where there is none."""
        return self.find_lhs()

    def find_lhs(self) -> str | None:
        """Look for the variable in the module."""
        module = sys.modules.get(self._instantiated_in or "")
        if module is None:
            return None
        for name, value in vars(module).items():
            if value is self.origin:
                return name
        return None

    @property
    def location(self) -> str | None:
        """`module.variable`, by which it can be imported; None where it cannot."""
        name = self.lhs
        return f"{self._instantiated_in}.{name}" if name else None
