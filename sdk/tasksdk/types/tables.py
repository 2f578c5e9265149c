"""Tables as structured datasets."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flyteidl2.core.literals_pb2 import Literal, Scalar, StructuredDataset, StructuredDatasetMetadata
from flyteidl2.core.types_pb2 import LiteralType, StructuredDatasetType

from tasksdk.errors import ConversionError
from tasksdk.types.converter import Converter, Plain, is_packed
from tasksdk.types.dataframe import DataFrame
from tasksdk.types.frames import read_frame, write_frame
from tasksdk.types.hints import show
from tasksdk.types.mismatch import mismatch
from tasksdk.types.once import once

if TYPE_CHECKING:
    from tasksdk.types.file import HashMethod
    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions


class TableConverter(Converter):
    """A DataFrame, or the frame of a library.

    `Annotated[pandas.DataFrame, kwtypes(a=int), "csv"]` names the columns that are read and the format that is written;
    a `HashFunction` there gives the hash of a frame in memory, which stands for it in cache keys.
    """

    name, kinds, blocks = "StructuredDataset", frozenset({"dict"}), True

    def __init__(self, hint: Any, metadata: tuple[Any, ...] = ()) -> None:
        super().__init__(hint)
        self._format = next((item for item in metadata if isinstance(item, str)), "")
        self._hash = next((item for item in metadata if hasattr(item, "update") and hasattr(item, "result")), None)
        self._columns = next((item for item in metadata if isinstance(item, dict)), {})
        handlers = _SHIPPED.get(hint.__module__.partition(".")[0])
        if handlers is not None and hint is not DataFrame:
            import_module(f"tasksdk.types.{handlers}")

    @once
    def kind(self) -> StructuredDatasetType:
        """The format and the columns."""
        from tasksdk.types.registry import converter_for

        found = StructuredDatasetType(format=self._format)
        for name, hint in self._columns.items():
            found.columns.add(name=name, literal_type=converter_for(hint).literal_type)
        return found

    @once
    def literal_type(self) -> LiteralType:
        """A structured dataset."""
        return LiteralType(structured_dataset_type=self.kind)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """Writes what is in memory; a table that is stored is passed on."""
        frame = self._frame(value)
        try:
            if frame.val is not None:
                written = write_frame(frame, raw, self.kind)
            else:
                kind = StructuredDatasetType(format=frame.format or self._format, columns=self.kind.columns)
                metadata = StructuredDatasetMetadata(structured_dataset_type=kind)
                written = StructuredDataset(uri=frame.uri, metadata=metadata)
        except ConversionError:
            raise
        except Exception as error:
            raise mismatch(self.hint, value, f"{type(error).__name__}: {error}") from error
        return Literal(scalar=Scalar(structured_dataset=written), hash=frame.hash or self._digest(frame.val) or "")

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """Reads the frame; a DataFrame is read when it is asked."""
        if is_packed(literal):
            return self.unpack(self.plain_of(literal), raw)
        if not literal.scalar.HasField("structured_dataset"):
            raise self.unreadable(literal)
        found = literal.scalar.structured_dataset
        kind = found.metadata.structured_dataset_type
        return self.unpack({"uri": found.uri, "format": kind.format, "hash": literal.hash or None}, raw)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The fields."""
        literal = self.to_literal(value, raw)
        found = literal.scalar.structured_dataset
        kind = found.metadata.structured_dataset_type
        return DataFrame(None, found.uri, kind.format, literal.hash or None).as_dict()

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads the fields."""
        del raw
        try:
            frame = DataFrame.from_dict(plain)
        except ValueError:
            raise mismatch(self.hint, plain) from None
        if self.hint is DataFrame:
            return frame
        try:
            return read_frame(frame, self.hint, self.kind)
        except (ConversionError, ImportError):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise ConversionError(f"expected {show(self.hint)}, got {frame!r}: {reason}") from error

    def _digest(self, frame: Any) -> str | None:
        if self._hash is None or frame is None:
            return None
        from copy import copy

        method: HashMethod = copy(self._hash)
        method.update(frame)
        return method.result()

    def _frame(self, value: Any) -> DataFrame:
        if isinstance(value, DataFrame):
            if value.val is not None and self.hint is not DataFrame and not isinstance(value.val, self.hint):
                raise mismatch(self.hint, value.val)
            if value.val is not None:
                _known(type(value.val))
            return value
        if self.hint is not DataFrame and not isinstance(value, self.hint):
            raise mismatch(self.hint, value)
        if not _known(type(value)):
            raise mismatch(self.hint, value)
        return DataFrame(value)

    def schema(self, known: Definitions) -> dict[str, Any]:
        """The schema of the fields."""
        del known
        return DataFrame.json_schema()


_SHIPPED = {"pandas": "pandas_frames", "pyarrow": "arrow_frames"}


def _known(cls: type) -> bool:
    """Whether a class is one of frames; its handlers are there afterwards."""
    from tasksdk.types.registry import converter_for

    return isinstance(converter_for(cls), TableConverter)
