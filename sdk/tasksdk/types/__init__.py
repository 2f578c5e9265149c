"""Types: what Python values are on the wire, and how users add their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasksdk.types.dataframe import DataFrame
    from tasksdk.types.engine import TypeEngine
    from tasksdk.types.file import File, HashFunction, HashMethod
    from tasksdk.types.folder import Dir
    from tasksdk.types.frames import DataFrameDecoder, DataFrameEncoder, DataFrameTransformerEngine
    from tasksdk.types.pickles import FlytePickle
    from tasksdk.types.raw_data import RawData
    from tasksdk.types.transformer import TypeTransformer

_PLACES = {
    "DataFrame": "dataframe",
    "DataFrameDecoder": "frames",
    "DataFrameEncoder": "frames",
    "DataFrameTransformerEngine": "frames",
    "Dir": "folder",
    "File": "file",
    "FlytePickle": "pickles",
    "HashFunction": "file",
    "HashMethod": "file",
    "RawData": "raw_data",
    "TypeEngine": "engine",
    "TypeTransformer": "transformer",
}

__all__ = [
    "DataFrame",
    "DataFrameDecoder",
    "DataFrameEncoder",
    "DataFrameTransformerEngine",
    "Dir",
    "File",
    "FlytePickle",
    "HashFunction",
    "HashMethod",
    "RawData",
    "TypeEngine",
    "TypeTransformer",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
