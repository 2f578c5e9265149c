"""What no other converter knows travels as a pickle, in a blob whose format says so."""

from __future__ import annotations

import hashlib
import pickle
from io import BytesIO
from typing import TYPE_CHECKING, Any

from flyteidl2.core.literals_pb2 import Blob, BlobMetadata, Literal, Scalar
from flyteidl2.core.types_pb2 import BlobType, LiteralType, TypeStructure

from tasksdk.errors import ConversionError
from tasksdk.script import module_here
from tasksdk.types.converter import Converter, Plain, is_packed
from tasksdk.types.hints import is_untyped, show
from tasksdk.types.mismatch import mismatch, shown
from tasksdk.types.once import once

if TYPE_CHECKING:
    from tasksdk.types.raw_data import RawData

PICKLE = "pickle"
FORMAT = "PythonPickle"
"""The format of the blob; readers of the ecosystem know it by this name."""


class FlytePickle:
    """The type of what shall travel as a pickle, whatever it is."""

    # As of a protocol: what is passed is no instance of it.
    _is_protocol = True

    def __class_getitem__(cls, _of: Any) -> type[FlytePickle]:
        return cls


class PickleConverter(Converter):
    """Any class: its pickle is stored, named by its own digest, so that equal values are one object."""

    name, blocks = "FlytePickle", True

    @once
    def literal_type(self) -> LiteralType:
        """A blob."""
        found = LiteralType(blob=BlobType(format=FORMAT), structure=TypeStructure(tag=self.name))
        found.metadata["python_class_name"] = show(self.hint)
        return found

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """Where the pickle was put, and its digest."""
        return stored_pickle(self._checked(value), raw)

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """Reads the pickle; an inline one too."""
        scalar = literal.scalar
        if scalar.WhichOneof("value") == "blob" and scalar.blob.metadata.type.format == FORMAT:
            return self._checked(unpickled(raw.read(scalar.blob.uri)))
        if scalar.WhichOneof("value") == "binary" and not is_packed(literal):
            return self._checked(unpickled(scalar.binary.value))
        raise self.unreadable(literal)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The pickle itself."""
        del raw
        return pickled(self._checked(value))

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads the pickle."""
        del raw
        if not isinstance(plain, bytes):
            raise mismatch(self.hint, plain)
        return self._checked(unpickled(plain))

    def _checked(self, value: Any) -> Any:
        """The value, where its class can be checked at all."""
        if (
            is_untyped(self.hint)
            or not isinstance(self.python_class, type)
            or getattr(self.python_class, "_is_protocol", False)
        ):
            return value
        if not isinstance(value, self.python_class):
            raise mismatch(self.hint, value)
        return value

    def rank(self, value: object) -> int:
        """Last of all where nothing is said."""
        return 3 if is_untyped(self.hint) else super().rank(value)


class _Unpickler(pickle.Unpickler):
    """Finds the classes of a script that was `__main__` where the pickle was written, or is it here."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """The object of that name, in whatever module stands for the script here."""
        return super().find_class(module_here(module_name, global_name), global_name)


def stored_pickle(value: object, raw: RawData) -> Literal:
    """A blob that holds the pickle of a value."""
    data = pickled(value)
    digest = hashlib.sha256(data).hexdigest()
    uri = raw.write(data, f"{digest}.pickle")
    blob = Blob(metadata=BlobMetadata(type=BlobType(format=FORMAT)), uri=uri)
    return Literal(scalar=Scalar(blob=blob), hash=digest)


def pickled(value: object) -> bytes:
    """The pickle of a value.

    Raises:
        ConversionError: the value cannot be pickled.
    """
    try:
        return pickle.dumps(value, protocol=5)
    except Exception as error:  # noqa: BLE001 - a class of the user's may refuse in any way
        raise ConversionError(
            f"{shown(value)} cannot be pickled: {error}",
            hint="use a type that can travel: a dataclass, a File, or one registered with TypeEngine.register",
        ) from None


def unpickled(data: bytes) -> Any:
    """The value of a pickle.

    Raises:
        ConversionError: the bytes are none, or need a class that this process cannot import.
    """
    try:
        return _Unpickler(BytesIO(data)).load()  # the data is the output of a task of the same user
    except Exception as error:
        raise ConversionError(
            f"the pickle cannot be read: {type(error).__name__}: {error}",
            hint="its classes must be importable here, in the same version",
        ) from error
