"""Files, folders and tables, under the newer API's name for their module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.types.file import File, HashFunction, HashMethod
from tasksdk.types.folder import Dir

if TYPE_CHECKING:
    from tasksdk.types.dataframe import DataFrame
    from tasksdk.types.frames import PARQUET

__all__ = ["PARQUET", "DataFrame", "Dir", "File", "HashFunction", "HashMethod"]
_LATER = {"DataFrame": "dataframe", "PARQUET": "frames"}


def __getattr__(name: str) -> Any:
    """Load what has to do with tables when it is first used."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"tasksdk.types.{_LATER[name]}"), name)
