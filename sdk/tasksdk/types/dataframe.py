"""A table of any library, by its URI."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tasksdk.errors import ConversionError
from tasksdk.types.portable import Portable, schema_of
from tasksdk.types.raw_data import RawData, ThisProcess

if TYPE_CHECKING:
    from typing_extensions import Self

    from tasksdk.types.file import HashMethod


class DataFrame(Portable):
    """A table that is read as whichever library's frame is asked for: `frame.open(pandas.DataFrame).all_sync()`."""

    __slots__ = ("_frame", "_wanted", "format", "hash", "uri")

    def __init__(
        self,
        val: Any = None,
        uri: str | None = None,
        format: str = "",  # noqa: A002 - the API's word
        hash: str | None = None,  # noqa: A002 - the API's word
        dataframe_type: Any = None,
    ) -> None:
        self._frame = val
        self._wanted = dataframe_type or (type(val) if val is not None else None)
        self.uri = uri
        self.format = format
        self.hash = hash

    @classmethod
    def from_df(cls, val: Any, uri: str | None = None) -> Self:
        """A frame in memory, written when it leaves the task, to `uri` where that is given."""
        return cls(val, uri)

    wrap_df = from_df
    create_from = from_df

    @classmethod
    def from_local(
        cls, df: Any, remote_destination: str | None = None, hash_method: HashMethod | str | None = None
    ) -> Self:
        """The same; `hash_method` is given the frame, or is a digest itself, which then stands for it in cache keys."""
        if hash_method is not None and not isinstance(hash_method, str):
            hash_method.update(df)
            hash_method = hash_method.result()
        return cls(df, remote_destination, hash=hash_method)

    from_local_sync = from_local

    @classmethod
    def from_existing_remote(
        cls,
        remote_path: str | os.PathLike[str],
        format: str = "parquet",  # noqa: A002 - the API's word
        hash: str | None = None,  # noqa: A002 - the API's word
    ) -> Self:
        """A table that is stored already, local or remote."""
        return cls(None, os.fspath(remote_path), format, hash)

    @property
    def val(self) -> Any:
        """The frame in memory; None for a table that has not been read."""
        return self._frame

    def open(self, dataframe_type: Any) -> Self:
        """The same table, to be read as a frame of this class."""
        return type(self)(self._frame, self.uri, self.format, self.hash, dataframe_type)

    async def all(self) -> Any:
        """The whole frame, read beside the event loop."""
        from tasksdk.types.waiting import in_thread

        return await in_thread(self.all_sync)

    def all_sync(self) -> Any:
        """The whole frame.

        Raises:
            ConversionError: no class was asked for, or no decoder reads this format as it.
        """
        if self._wanted is None:
            raise ConversionError(
                "a DataFrame is read as a class that you choose", hint="write frame.open(pandas.DataFrame).all_sync()"
            )
        if self._frame is not None and isinstance(self._frame, self._wanted):
            return self._frame
        from tasksdk.types.frames import read_frame

        return read_frame(self.settled(ThisProcess()), self._wanted)

    def settled(self, raw: RawData) -> Self:
        """The same, written where it is only in memory."""
        if self._frame is None:
            return self
        from tasksdk.types.frames import write_frame

        found = write_frame(self, raw)
        return type(self)(None, found.uri, found.metadata.structured_dataset_type.format, self.hash)

    def kept(self) -> Self:
        """A table with a URI is stored already."""
        return self

    def as_dict(self) -> dict[str, str | None]:
        """The fields, as they stand in MessagePack."""
        return {"uri": self.uri, "format": self.format, "hash": self.hash}

    @classmethod
    def from_dict(cls, fields: Any) -> Self:
        """Reads the fields.

        Raises:
            ValueError: they are not those of a table.
        """
        if not isinstance(fields, dict) or not isinstance(fields.get("uri"), str):
            raise ValueError(f"a DataFrame needs a uri, not {fields!r:.80}")  # noqa: TRY004 - pydantic reads ValueError alone
        return cls(None, fields["uri"], fields.get("format") or "", fields.get("hash"))

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The schema of the fields."""
        return schema_of(cls.__name__, "uri", "format", "hash")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataFrame):
            return NotImplemented
        return self._frame is other.val and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((self.uri, self.hash))

    def __repr__(self) -> str:
        if self._frame is not None:
            return f"DataFrame({type(self._frame).__name__} in memory)"
        return f"DataFrame({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items() if value)})"
