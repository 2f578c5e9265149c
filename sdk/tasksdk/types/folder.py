"""A folder that moves between tasks by its URI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tasksdk.types import storage
from tasksdk.types.file import File
from tasksdk.types.raw_data import of_task, scratch
from tasksdk.types.stored import Stored
from tasksdk.types.twin import ReadyList, ReadyNone, Twin

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
        """A folder of this machine, uploaded now: to the destination, or to where the running task's files go.

        Outside of a task, and without a destination, it stays where it is until it is given to one.
        """
        return cls(local_path, hash=dir_cache_key).uploaded(remote_destination)

    from_local_sync = from_local

    @classmethod
    def new_remote(cls, dir_name: str | None = None, hash: str | None = None) -> Self:  # noqa: A002 - the API's word
        """A folder to write files below; it is uploaded when it leaves the task."""
        raw = of_task()
        here = None if raw is None else storage.local_path(raw.new(dir_name or "folder"))
        path = here or Path(scratch(), os.urandom(6).hex(), dir_name or "folder")
        path.mkdir(parents=True)
        return cls(path, hash=hash)

    def walk(self, recursive: bool = True, max_depth: int | None = None, file_pattern: str = "*") -> Files:
        """The files in the order of their paths, by `for` or `async for`.

        `max_depth=1` are those directly in it; `file_pattern` is one of the shell for their names.
        """
        return Files(self, 1 if not recursive else max_depth, file_pattern)

    def walk_sync(self, recursive: bool = True, file_pattern: str = "*", max_depth: int | None = None) -> Files:
        """The same, in the order of arguments that the newer API has here."""
        return self.walk(recursive, max_depth, file_pattern)

    @Twin
    def list_files(self) -> ReadyList[File]:
        """The files directly in it."""
        return ReadyList(self.walk(recursive=False))

    def list_files_sync(self) -> list[File]:
        """The files directly in it."""
        return self.list_files()

    @Twin
    def get_file(self, file_name: str) -> File | ReadyNone:
        """One file below it; where there is none, what is false, and awaited is None."""
        return self.get_file_sync(file_name) or ReadyNone()

    def get_file_sync(self, file_name: str) -> File | None:
        """One file below it; None where there is none."""
        found = File.from_existing_remote(storage.join(self.path, file_name))
        return found if found.exists_sync() else None


class Files:
    """The files of a folder."""

    def __init__(self, folder: Dir, depth: int | None, pattern: str) -> None:
        self._folder, self._depth, self._pattern = folder, depth, pattern

    def __iter__(self) -> Iterator[File]:
        from fnmatch import fnmatchcase

        for name in storage.names_below(self._folder.path):
            shallow = self._depth is None or name.count("/") < self._depth
            if shallow and fnmatchcase(name.rpartition("/")[2], self._pattern):
                yield File.from_existing_remote(storage.join(self._folder.path, name))

    async def __aiter__(self) -> AsyncIterator[File]:
        from tasksdk.types.waiting import in_thread

        for file in await in_thread(list, self):
            yield file
