"""What files and folders have in common: a URI, and values that move by it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasksdk.errors import ConversionError
from tasksdk.types import storage
from tasksdk.types.portable import Portable, schema_of
from tasksdk.types.raw_data import RawData, ThisProcess, of_task, scratch
from tasksdk.types.twin import ReadyAnswer, ReadyText, Twin

if TYPE_CHECKING:
    from typing_extensions import Self


class Stored(Portable):
    """A file or a folder by its URI; nothing is moved until its content is asked for.

    `hash` stands for the content in cache keys. A local one that was made here is uploaded when it leaves the task.
    """

    kind: ClassVar[str]
    declared_format: ClassVar[str] = ""
    """What stands in the brackets of a type."""

    __slots__ = ("_kept", "format", "hash", "name", "path")

    def __init__(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        format: str = "",  # noqa: A002 - the API's word
        hash: str | None = None,  # noqa: A002 - the API's word
    ) -> None:
        self.path = os.fspath(path)
        self.name = name if name is not None else storage.last_part(self.path)
        self.format = format
        self.hash = hash
        self._kept = False

    def __class_getitem__(cls, format: Any) -> type[Self]:  # noqa: A002 - as above
        if not isinstance(format, str) or not format:
            return cls
        found: type[Self] = _of_format(cls, format)  # type: ignore[arg-type]  # classes can be hashed
        return found

    @classmethod
    def from_existing_remote(
        cls, remote_path: str | os.PathLike[str], cache_key: str | None = None, **named: Any
    ) -> Self:
        """One that is where it shall stay, local or remote; it is never uploaded.

        `cache_key`, also called `file_cache_key` and `dir_cache_key`, becomes the hash.
        """
        key = cache_key or named.get("file_cache_key") or named.get("dir_cache_key")
        found = cls(remote_path, hash=key)
        return found.kept()

    @property
    def uri(self) -> str:
        """The path, by another name."""
        return self.path

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return storage.local_path(self.path) is not None

    @Twin
    def exists(self) -> ReadyAnswer:
        """Whether something is there."""
        return ReadyAnswer(storage.exists(self.path))

    def exists_sync(self) -> bool:
        """Whether something is there."""
        return bool(self.exists())

    @Twin
    def download(self, local_path: str | os.PathLike[str] | None = None) -> ReadyText:
        """Copies it to a local path, or to a temporary one, and returns that; a local one stays where it is.

        Raises:
            FileNotFoundError: nothing is there.
            MissingDependencyError: the extra for this kind of URI is not installed.
        """
        here = storage.local_path(self.path)
        if here is not None and local_path is None:
            if not here.exists():
                raise FileNotFoundError(f"there is no {self.kind} at {self.path}")
            return ReadyText(here)
        target = (
            Path(local_path) if local_path is not None else Path(scratch(), os.urandom(6).hex(), self.name or self.kind)
        )
        if self.kind == "file" and (target.is_dir() or str(local_path).endswith("/")):
            target /= self.name
        storage.fetch(self.path, target)
        return ReadyText(target)

    def download_sync(self, local_path: str | os.PathLike[str] | None = None) -> str:
        """Copies it to a local path."""
        return self.download(local_path)

    @Twin
    def upload(self, destination: RawData | str | os.PathLike[str]) -> Self:
        """The same at its new place: below the raw data path, or at exactly this URI.

        Raises:
            ConversionError: nothing is there, or not of this kind.
        """
        source = Path(self.download())
        if source.is_dir() != (self.kind == "folder"):
            raise ConversionError(f"there is no {self.kind} at {self.path}, but a {_OTHER[self.kind]}")
        if isinstance(destination, RawData):
            uri = destination.put(source, self.name)
        else:
            uri = os.fspath(destination)
            storage.store(source, uri)
        moved: Self = type(self)(uri, None, self.format, self.hash)
        return moved.kept()

    def uploaded(self, destination: str | os.PathLike[str] | None = None) -> Self:
        """The same at the destination, or where the running task's files go; itself where there is neither."""
        place = of_task() if destination is None else destination
        return self if place is None else self.upload(place)

    def kept(self) -> Self:
        """Marks it as being where it shall stay."""
        self._kept = True
        return self

    def settled(self, raw: RawData) -> Self:
        """The same where a task that runs elsewhere finds it.

        Raises:
            ConversionError: it is local and not there.
        """
        here = storage.local_path(self.path)
        if here is None:
            return self
        if not self._kept and not here.exists():
            raise ConversionError(f"there is no {self.kind} at {self.path}")
        if self._kept or isinstance(raw, ThisProcess) or storage.is_below(self.path, raw.path):
            return type(self)(storage.absolute(self.path), self.name, self.format, self.hash).kept()
        uploaded: Self = self.upload(raw)
        return uploaded

    def __fspath__(self) -> str:
        """A local path, downloaded where it is remote."""
        return str(self.download())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stored) or other.kind != self.kind:
            return NotImplemented
        return self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((self.kind, self.path, self.hash))

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in self.as_dict().items() if value and name != "name"]
        return f"{type(self).__name__}({', '.join(shown)})"

    def as_dict(self) -> dict[str, str | None]:
        """The fields, as they stand in MessagePack."""
        return {"path": self.path, "name": self.name, "format": self.format, "hash": self.hash}

    @classmethod
    def from_dict(cls, fields: Any) -> Self:
        """Reads the fields.

        Raises:
            ValueError: they are not those of a file or folder.
        """
        if not isinstance(fields, dict) or not isinstance(fields.get("path"), str):
            # pydantic makes a validation error of a ValueError alone.
            raise ValueError(f"a {cls.__name__} needs a path, not {fields!r:.80}")  # noqa: TRY004 - as said
        return cls(fields["path"], fields.get("name"), fields.get("format") or "", fields.get("hash"))

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The schema of the fields."""
        return schema_of(cls.__name__, "path", "name", "format", "hash")


@cache
def _of_format(cls: type[Any], format: str) -> type[Any]:  # noqa: A002 - the API's word
    """A class that differs in its declared format; an alias of typing would take the text for a forward reference."""
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__slots__": (), "declared_format": format}
    return type(cls.__name__, (cls,), names)


_OTHER = {"file": "folder", "folder": "file"}
