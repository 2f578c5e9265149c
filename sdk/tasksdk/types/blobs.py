"""Files and folders as blobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from flyteidl2.core.literals_pb2 import Blob, BlobMetadata, Literal, Scalar
from flyteidl2.core.types_pb2 import BlobType, LiteralType

from tasksdk.errors import ConversionError
from tasksdk.types.converter import Converter, Plain, is_packed
from tasksdk.types.mismatch import mismatch
from tasksdk.types.once import once
from tasksdk.types.pickles import FORMAT

if TYPE_CHECKING:
    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions


class BlobConverter(Converter):
    """A File or a Dir: its URI and its hash; inside MessagePack, its fields."""

    kinds, blocks = frozenset({"dict"}), True

    def __init__(self, hint: Any, python_class: Any = None) -> None:
        super().__init__(hint, python_class)
        self._format: str = hint.declared_format
        if self._format:
            self.python_class = hint.__base__

    @property
    def name(self) -> str:  # type: ignore[override]  # of the class
        """The name of the class."""
        return str(self.python_class.__name__)

    @once
    def _shape(self) -> BlobType.BlobDimensionality:
        return BlobType.MULTIPART if self.python_class.kind == "folder" else BlobType.SINGLE

    @once
    def literal_type(self) -> LiteralType:
        """A blob of one part, or of many."""
        return LiteralType(blob=BlobType(format=self._format, dimensionality=self._shape))

    def _settled(self, value: Any, raw: RawData) -> Any:
        """The value where others find it; a path is taken for a file."""
        if (
            isinstance(value, (str, os.PathLike))
            and not isinstance(value, self.python_class)
            and not hasattr(value, "kind")
        ):
            value = self.python_class(value)
        if not isinstance(value, self.python_class):
            raise mismatch(self.hint, value)
        try:
            return value.settled(raw)
        except (ConversionError, OSError) as error:
            raise mismatch(self.hint, value, getattr(error, "message", str(error))) from error

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """A blob."""
        found = self._settled(value, raw)
        kind = BlobType(format=found.format or self._format, dimensionality=self._shape)
        blob = Blob(metadata=BlobMetadata(type=kind), uri=found.path)
        return Literal(scalar=Scalar(blob=blob), hash=found.hash or "")

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """Its URI and hash; nothing is moved."""
        if is_packed(literal):
            return self.unpack(self.plain_of(literal), raw)
        kind = literal.scalar.blob.metadata.type
        if not literal.scalar.HasField("blob") or kind.dimensionality != self._shape or kind.format == FORMAT:
            raise self.unreadable(literal)
        return self.unpack({"path": literal.scalar.blob.uri, "format": kind.format, "hash": literal.hash or None}, raw)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The fields."""
        return self._settled(value, raw).as_dict()

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads the fields."""
        del raw
        try:
            return self.python_class.from_dict(plain).kept()
        except ValueError:
            raise mismatch(self.hint, plain) from None

    def schema(self, known: Definitions) -> dict[str, Any]:
        """The schema of the fields."""
        del known
        schema: dict[str, Any] = self.python_class.json_schema()
        return schema
