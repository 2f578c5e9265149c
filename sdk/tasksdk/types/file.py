"""A file that moves between tasks by its URI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, runtime_checkable

from tasksdk.types import storage
from tasksdk.types.raw_data import of_task, scratch
from tasksdk.types.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

_PIECE = 1 << 20


@runtime_checkable
class HashMethod(Protocol):
    """Digests a file in pieces."""

    def update(self, data: Any, /) -> None:
        """Take the next piece."""

    def result(self) -> str:
        """The digest as text."""
        ...


class HashFunction:
    """Digests what it is given by a function of the user's: `HashFunction.from_fn(lambda frame: ...)`."""

    def __init__(self, function: Callable[[Any], str]) -> None:
        self._function = function
        self._digest = ""

    @classmethod
    def from_fn(cls, function: Callable[[Any], str]) -> HashFunction:
        """One that calls this function."""
        return cls(function)

    def update(self, data: Any) -> None:
        """Digest this."""
        self._digest = self._function(data)

    def result(self) -> str:
        """The digest as text."""
        return self._digest


class File(Stored):
    """A file; `File["csv"]` says its format."""

    kind = "file"
    __slots__ = ("method",)

    method: HashMethod | str | None
    """What digests the content when it is written; only of a file that is still to be written."""

    @classmethod
    def from_local(
        cls,
        local_path: str | os.PathLike[str],
        remote_destination: str | None = None,
        hash_method: HashMethod | str | None = None,
    ) -> Self:
        """A file of this machine, uploaded now: to the destination, or to where the running task's files go.

        Outside of a task, and without a destination, it stays where it is until it is given to one. `hash_method`
        digests the content for cache keys; a text is the digest itself.
        """
        digest = _digest(os.fspath(local_path), hash_method)
        return cls(local_path, hash=digest).uploaded(remote_destination)

    from_local_sync = from_local

    @classmethod
    def new_remote(cls, file_name: str | None = None, hash_method: HashMethod | str | None = None) -> Self:
        """A file to write to, by `open("wb")`: where the running task's files go, else a temporary one.

        `hash_method` digests what was written, when that is closed.
        """
        raw = of_task()
        name = file_name or "file"
        made = cls(Path(scratch(), os.urandom(6).hex(), name) if raw is None else raw.new(name))
        made.method = hash_method
        made.hash = hash_method if isinstance(hash_method, str) else None
        return made

    @classmethod
    def named_remote(cls, name: str) -> Self:
        """The running task's file of this name, the same for each of its attempts."""
        raw = of_task()
        return cls(Path(scratch(), name) if raw is None else storage.join(raw.path, name))

    def open(self, mode: str = "rb", *, compression: str | None = None, **hints: Any) -> Opened:
        """The content, by `with` or by `async with`; remote content is streamed.

        `compression` is "gzip", "bz2", "xz", or "infer" by the name. `block_size`, `cache_type`, `cache_options` and
        what else the file system of a remote file takes are handed to it; for a local file they mean nothing.

        Raises:
            MissingDependencyError: the extra for this kind of URI is not installed.
        """
        return Opened(self, mode, {**hints, "compression": compression})

    def written(self) -> None:
        """Digest what was written, where that was asked for."""
        method = getattr(self, "method", None)
        if method is not None:
            self.hash = _digest(self.path, method)

    def open_sync(self, mode: str = "rb", *, compression: str | None = None, **hints: Any) -> Opened:
        """The content, by the newer API's other name."""
        return self.open(mode, compression=compression, **hints)


class Opened:
    """An open file under `with` and `async with`, where reading and writing are awaited."""

    def __init__(self, of: File, mode: str, options: dict[str, Any]) -> None:
        self._of, self._mode, self._options = of, mode, options
        self._file: IO[Any] | None = None

    def __enter__(self) -> IO[Any]:
        self._file = storage.open_uri(self._of.path, self._mode, **self._options)
        return self._file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            if self._mode[:1] in ("w", "a", "x"):
                self._of.written()

    async def __aenter__(self) -> AsyncFile:
        from tasksdk.types.waiting import in_thread

        return AsyncFile(await in_thread(self.__enter__))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from tasksdk.types.waiting import in_thread

        await in_thread(self.__exit__, kind, error, trace)


class AsyncFile:
    """An open file whose methods are awaited."""

    def __init__(self, file: IO[Any]) -> None:
        self._file = file

    async def read(self, size: int = -1) -> Any:
        """The next bytes or text."""
        return await self._away(self._file.read, size)

    async def readline(self) -> Any:
        """The next line."""
        return await self._away(self._file.readline)

    async def readlines(self) -> list[Any]:
        """All lines."""
        lines: list[Any] = await self._away(self._file.readlines)
        return lines

    async def write(self, data: Any) -> int:
        """Writes, and says how much."""
        written: int = await self._away(self._file.write, data)
        return written

    async def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a place."""
        place: int = await self._away(self._file.seek, offset, whence)
        return place

    async def flush(self) -> None:
        """Hands over what is buffered."""
        await self._away(self._file.flush)

    async def close(self) -> None:
        """Closes early."""
        await self._away(self._file.close)

    def __aiter__(self) -> AsyncFile:
        return self

    async def __anext__(self) -> Any:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    @staticmethod
    async def _away(method: Any, *arguments: Any) -> Any:
        from tasksdk.types.waiting import in_thread

        return await in_thread(method, *arguments)


def _digest(uri: str, method: HashMethod | str | None) -> str | None:
    if method is None or isinstance(method, str):
        return method
    with storage.open_uri(uri, "rb") as opened:
        while piece := opened.read(_PIECE):
            method.update(piece)
    return method.result()
