"""Where a task's files, frames and pickles are put."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from tasksdk.types import storage

if TYPE_CHECKING:
    from pathlib import Path


class RawData:
    """A folder, local or any URL, below which is put what no literal holds; every object gets a name of its own."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = storage.absolute(os.fspath(path))

    def new(self, name: str) -> str:
        """The URI of an object that does not exist yet."""
        return storage.join(self.path, os.urandom(10).hex(), name)

    def write(self, data: bytes, name: str) -> str:
        """Puts bytes whose name says what they are (a digest), and returns their URI."""
        uri = storage.join(self.path, name)
        storage.write(uri, data)
        return uri

    def read(self, uri: str) -> bytes:
        """The bytes at a URI."""
        return storage.read(uri)

    def put(self, source: str | os.PathLike[str], name: str | None = None) -> str:
        """Copies a local file or folder here and returns its URI."""
        from pathlib import Path

        path = Path(source)
        uri = self.new(name or path.name)
        storage.store(path, uri)
        return uri

    def get(self, uri: str, target: str | os.PathLike[str]) -> Path:
        """Copies a file or folder of any URI to a local path."""
        from pathlib import Path

        path = Path(target)
        storage.fetch(uri, path)
        return path

    def __repr__(self) -> str:
        return f"RawData({self.path!r})"


class ThisProcess(RawData):
    """Storage for conversions outside of any run: a temporary folder, made when it is needed and gone with the process.

    Local files stay where they are, for only this process reads them.
    """

    def __init__(self) -> None:
        super().__init__("")

    def new(self, name: str) -> str:
        """Makes the folder at first."""
        self.path = scratch()
        return super().new(name)

    def write(self, data: bytes, name: str) -> str:
        """Makes the folder at first."""
        self.path = scratch()
        return super().write(data, name)


def of_task() -> RawData | None:
    """Where the files of the running task go; None outside of one."""
    from tasksdk.context.current import ctx

    context = ctx()
    return None if context is None else context.raw_data_path


@cache
def scratch() -> str:
    """A temporary folder that is gone with this process."""
    import atexit
    import tempfile

    _made.append((tempfile.mkdtemp(prefix="tasksdk-"), os.getpid()))
    atexit.register(remove_scratch)
    return _made[-1][0]


_made: list[tuple[str, int]] = []


def remove_scratch() -> None:
    """Remove the temporary folder, for processes that end without handlers; a forked one leaves it to its parent."""
    import shutil

    for folder, owner in _made:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)
