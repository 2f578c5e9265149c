"""Encoders and decoders of tables, and which of them serves what."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flyteidl2.core.literals_pb2 import StructuredDataset, StructuredDatasetMetadata
from flyteidl2.core.types_pb2 import StructuredDatasetType

from tasksdk.errors import ConversionError, TaskDefinitionError
from tasksdk.types import registry
from tasksdk.types.dataframe import DataFrame
from tasksdk.types.hints import show
from tasksdk.types.waiting import finished

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tasksdk.types.raw_data import RawData

T = TypeVar("T")
PARQUET = "parquet"


class _Handler(Generic[T]):
    """What serves one class, on one kind of storage (all, where none is named), in one format."""

    def __init__(self, python_type: type[T], protocol: str | None = None, supported_format: str | None = None) -> None:
        self.python_type = python_type
        self.protocol = protocol.replace("://", "") if protocol else None
        self.supported_format = supported_format or PARQUET

    @property
    def key(self) -> tuple[type[T], str | None, str]:
        """What it serves."""
        return self.python_type, self.protocol, self.supported_format


class DataFrameEncoder(_Handler[T]):
    """Writes frames of a class; register it with `DataFrameTransformerEngine.register`."""

    def encode(
        self, dataframe: DataFrame, structured_dataset_type: StructuredDatasetType
    ) -> StructuredDataset | Awaitable[StructuredDataset]:
        """Writes `dataframe.val` to `dataframe.uri`; plain or async."""
        raise NotImplementedError


class DataFrameDecoder(_Handler[T]):
    """Reads frames of a class; register it with `DataFrameTransformerEngine.register`."""

    def decode(
        self, flyte_value: StructuredDataset, current_task_metadata: StructuredDatasetMetadata
    ) -> T | Awaitable[T]:
        """Reads what is at `flyte_value.uri`, the columns of the metadata where it names some; plain or async."""
        raise NotImplementedError


_encoders: dict[tuple[Any, str | None, str], DataFrameEncoder[Any]] = {}
_decoders: dict[tuple[Any, str | None, str], DataFrameDecoder[Any]] = {}


class DataFrameTransformerEngine:
    """The encoders and decoders that are known."""

    @classmethod
    def register(cls, handler: DataFrameEncoder[Any] | DataFrameDecoder[Any], *, override: bool = False) -> None:
        """Lets a handler serve its class, storage and format.

        Raises:
            TaskDefinitionError: another one does, and `override` was not said.
        """
        known: dict[Any, Any] = _encoders if isinstance(handler, DataFrameEncoder) else _decoders
        if handler.key in known and not override:
            raise TaskDefinitionError(
                f"{show(handler.python_type)} in {handler.supported_format} has a handler already",
                hint="write register(..., override=True) to replace it",
            )
        known[handler.key] = handler
        registry.register_frame(handler.python_type)


def write_frame(frame: DataFrame, raw: RawData, kind: StructuredDatasetType | None = None) -> StructuredDataset:
    """Writes the frame in memory, in the format of `kind`, else of the frame, else the first that there is.

    Raises:
        ConversionError: no encoder writes this class so.
    """
    cls = type(frame.val)
    known = [key[2] for key in _encoders if key[0] is cls]
    chosen = (kind.format if kind else "") or frame.format or (known[0] if known else PARQUET)
    uri = frame.uri or raw.new(f"frame.{chosen}")
    encoder = _found(_encoders, cls, uri, chosen)
    if encoder is None:
        raise ConversionError(
            f"no encoder writes {show(cls)} as {chosen!r}", hint=f"its formats are: {', '.join(known) or 'none'}"
        )
    described = StructuredDatasetType(format=chosen, columns=kind.columns if kind else [])
    made = encoder.encode(DataFrame(frame.val, uri, chosen, frame.hash), described)
    found: StructuredDataset = finished(made) if inspect.isawaitable(made) else made
    if not found.HasField("metadata"):
        found.metadata.CopyFrom(StructuredDatasetMetadata(structured_dataset_type=described))
    return found


def read_frame(frame: DataFrame, cls: Any, kind: StructuredDatasetType | None = None) -> Any:
    """The frame of this class.

    Raises:
        ConversionError: no decoder reads the format so.
    """
    registry.converter_for(cls)
    uri = frame.uri or ""
    chosen = frame.format or PARQUET
    decoder = _found(_decoders, cls, uri, chosen)
    if decoder is None:
        known = [key[2] for key in _decoders if key[0] is cls]
        raise ConversionError(
            f"no decoder reads {chosen!r} as {show(cls)}", hint=f"its formats are: {', '.join(known) or 'none'}"
        )
    described = StructuredDatasetType(format=chosen, columns=kind.columns if kind else [])
    metadata = StructuredDatasetMetadata(structured_dataset_type=described)
    made = decoder.decode(StructuredDataset(uri=uri, metadata=metadata), metadata)
    return finished(made) if inspect.isawaitable(made) else made


def _found(known: dict[tuple[Any, str | None, str], Any], cls: Any, uri: str, chosen: str) -> Any:
    protocol = uri.partition("://")[0] if "://" in uri else "file"
    return known.get((cls, protocol, chosen)) or known.get((cls, None, chosen))
