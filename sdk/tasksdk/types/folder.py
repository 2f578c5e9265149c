"""A folder that moves between tasks by its URI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tasksdk.types import storage
from tasksdk.types.file import File
from tasksdk.types.raw_data import scratch
from tasksdk.types.stored import Stored
from tasksdk.types.twin import ReadyList, Twin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from typing_extensions import Self


class Dir(Stored):
    """A folder of files; `Dir["csv"]` says their format."""

    kind = "folder"
    __slots__ = ()

    @classmethod
    def from_local(
        cls,
        local_path: str | os.PathLike[str],
        remote_destination: str | None = None,
        dir_cache_key: str | None = None,
    ) -> Self:
        """A folder of this machine, uploaded to the destination now, or when it leaves the task."""
        found = cls(local_path, hash=dir_cache_key)
        return found.upload(remote_destination) if remote_destination else found

    from_local_sync = from_local

    @classmethod
    def new_remote(cls, dir_name: str | None = None, hash: str | None = None) -> Self:  # noqa: A002 - the API's word
        """A folder to write files below; it is uploaded when it leaves the task."""
        path = Path(scratch(), os.urandom(6).hex(), dir_name or "folder")
        path.mkdir(parents=True)
        return cls(path, hash=hash)

    def walk(self, recursive: bool = True, max_depth: int | None = None) -> Files:
        """The files in the order of their paths, by `for` or `async for`; `max_depth=1` are those directly in it."""
        return Files(self, 1 if not recursive else max_depth)

    walk_sync = walk

    @Twin
    def list_files(self) -> ReadyList[File]:
        """The files directly in it."""
        return ReadyList(self.walk(recursive=False))

    def list_files_sync(self) -> list[File]:
        """The files directly in it."""
        return self.list_files()

    @Twin
    def get_file(self, file_name: str) -> File | None:
        """One file below it; None where there is none."""
        return self.get_file_sync(file_name)

    def get_file_sync(self, file_name: str) -> File | None:
        """One file below it; None where there is none."""
        found = File.from_existing_remote(storage.join(self.path, file_name))
        return found if found.exists_sync() else None


class Files:
    """The files of a folder."""

    def __init__(self, folder: Dir, depth: int | None) -> None:
        self._folder, self._depth = folder, depth

    def __iter__(self) -> Iterator[File]:
        for name in storage.names_below(self._folder.path):
            if self._depth is None or name.count("/") < self._depth:
                yield File.from_existing_remote(storage.join(self._folder.path, name))

    async def __aiter__(self) -> AsyncIterator[File]:
        from tasksdk.types.waiting import in_thread

        for file in await in_thread(list, self):
            yield file
