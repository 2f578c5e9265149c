"""Reading regular files, and only those: never a link's target, never a FIFO that would wait for a writer."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from imagebuilder.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# O_NONBLOCK so that opening a FIFO that replaced a file returns; it does nothing to regular files.
READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
CHUNK = 1 << 20
State: TypeAlias = tuple[int, int, int, int, int]
STATE_NUMBERS = 5
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
}


class Content(NamedTuple):
    """What was read: the SHA-256, how many bytes, and the file's state when it was opened."""

    digest: bytes
    size: int
    opened: State


def state(status: os.stat_result) -> State:
    """What tells a file's states apart; the kernel alone sets the last, ctime."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def hash_file(path: str, flags: int = READ_FLAGS | os.O_NOFOLLOW) -> Content | None:
    """Read a regular file once, in pieces where it is large; None if it is gone.

    Raises:
        SourceError: it cannot be read, or is not a regular file.
    """
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode):
            raise special(path, opened.st_mode)
        expected = opened.st_size
        data = os.read(descriptor, expected + 1 if expected < CHUNK else CHUNK)
        size = len(data)
        hasher = hashlib.sha256(data)
        if size != expected:  # large, or changing
            while data := os.read(descriptor, CHUNK):
                size += len(data)
                hasher.update(data)
        return Content(hasher.digest(), size, state(opened))
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(descriptor)


def hash_files(paths: Sequence[str], sizes: Sequence[int]) -> Iterator[Content | None]:
    """Read files one after the other, `hash_file` for each; `sizes` are what to expect.

    Several large ones are read beside each other, ahead of their turn: hashing lets other threads run.
    """
    large = [path for path, size in zip(paths, sizes, strict=True) if size > CHUNK]
    if len(large) < 2:
        yield from map(hash_file, paths)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        ahead = {path: pool.submit(hash_file, path) for path in large}
        for path in paths:
            yield ahead[path].result() if path in ahead else hash_file(path)
    finally:
        pool.shutdown(cancel_futures=True)


def read_small(path: str, limit: int, *, missing_ok: bool) -> bytes:
    """Read a small regular file whole, following links; an absent one is empty if that is allowed."""
    try:
        descriptor = os.open(path, READ_FLAGS)
    except FileNotFoundError:
        if missing_ok:
            return b""
        raise SourceError(
            f"{path} does not exist", hint="check the path; a relative one starts where you are"
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise SourceError(f"{path} is {kind(mode)}, not a file of ignore patterns")
        content = b""
        while len(content) <= limit and (data := os.read(descriptor, limit + 1 - len(content))):
            content += data
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise SourceError(f"{path} is larger than {limit} bytes, too large for a file of ignore patterns")
    return content


def kind(mode: int) -> str:
    """The word for a file that is not a regular one."""
    return _KINDS.get(stat.S_IFMT(mode), "not a file")


def special(path: str, mode: int) -> SourceError:
    """The error for a file that no image can hold."""
    return SourceError(
        f"{path} is {kind(mode)}, which cannot be part of an image",
        hint="remove it, or leave it out with a pattern in .dockerignore or ignore=",
    )


def unreadable(path: str, error: OSError) -> SourceError:
    """The error for a file or folder that is there and cannot be read."""
    return SourceError(
        f"{path} cannot be read: {error.strerror or error}",
        hint="make it readable, or leave it out with a pattern in .dockerignore or ignore=",
    )
