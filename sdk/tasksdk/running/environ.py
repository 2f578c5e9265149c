"""Variables that one task sees and the others do not, in one process."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_overlay: ContextVar[dict[str, str] | None] = ContextVar("tasksdk_environ", default=None)
_Environ: Any = type(os.environ)
_POPEN = subprocess.Popen.__init__


class _TaskEnviron(_Environ):  # type: ignore[misc] # the class of os.environ has no public name
    """`os.environ` that looks at the task's variables first; what a task sets lives as long as the task."""

    def __getitem__(self, key: str) -> str:
        mine = _overlay.get()
        if mine is not None and key in mine:
            return mine[key]
        value: str = super().__getitem__(key)
        return value

    def __setitem__(self, key: str, value: str) -> None:
        mine = _overlay.get()
        if mine is not None and key in mine:
            mine[key] = value
        else:
            super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        mine = _overlay.get()
        if mine is not None and key in mine:
            del mine[key]
        else:
            super().__delitem__(key)

    def __iter__(self) -> Iterator[str]:
        mine = _overlay.get()
        yield from super().__iter__()
        if mine:
            known = set(super().__iter__())
            yield from (key for key in mine if key not in known)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        mine = _overlay.get()
        return (mine is not None and key in mine) or super().__contains__(key)

    def copy(self) -> dict[str, str]:
        return dict(self)


def _popen(self: Any, *args: Any, **kwargs: Any) -> None:
    """Hand a task's variables to the processes that it starts."""
    if _overlay.get() is not None and kwargs.get("env") is None and len(args) < _ENV_POSITION:
        kwargs["env"] = dict(os.environ)
    _POPEN(self, *args, **kwargs)


_ENV_POSITION = 11  # of `env` among Popen's parameters


@contextmanager
def variables(added: Mapping[str, str]) -> Iterator[None]:
    """Show these variables, beside those of the process, to whatever runs in this context."""
    if type(os.environ) is not _TaskEnviron:
        os.environ.__class__ = _TaskEnviron
        subprocess.Popen.__init__ = _popen  # type: ignore[method-assign] # the one way to reach processes of a context
    outer = _overlay.get()
    token = _overlay.set({**(outer or {}), **added})
    try:
        yield
    finally:
        _overlay.reset(token)
