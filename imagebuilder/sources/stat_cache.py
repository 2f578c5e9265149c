"""Digests of files that have not changed since they were last read, kept between commands.

A file is taken for unchanged if its device, inode, size, mtime and ctime are; ctime is the kernel's, so restoring a
file's mtime does not hide an edit. Two edits within one tick of a file system's clock leave the same times behind:
so, as in git's index (racy-git.txt), what was touched less than two seconds before it was read is never recorded.
"""

# Paths are strings in this folder.
# ruff: noqa: PTH105, PTH108, PTH118

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import time
from array import array
from typing import TYPE_CHECKING, NamedTuple

from imagebuilder.sources.content import STATE_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RACY_NS = 2_000_000_000
_MAGIC = b"imagebuilder stat cache 1\n"
KEY_SIZE = 8 * STATE_NUMBERS
_DIGEST = 32
_HEADER = len(_MAGIC) + _DIGEST
_DAY = 86_400
_MAX_AGE = 30 * _DAY
_MAX_ROOTS = 200
_WORD = (1 << 64) - 1


def pack(states: Sequence[int]) -> bytes:
    """Pack the states of files, laid end to end, into their keys, laid end to end."""
    try:
        return array("Q", states).tobytes()
    except OverflowError:  # an mtime before 1970 or after 2554
        return array("Q", [number & _WORD for number in states]).tobytes()


class _Entries(NamedTuple):
    keys: bytes = b""
    digests: tuple[bytes, ...] = ()


_NOTHING = _Entries()


class StatCache:
    """What is known of the files under each root; without a folder, for as long as the object lives.

    Nothing here is ever an error: a cache that cannot be read or written only costs time.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._loaded: dict[str, _Entries] = {}
        self._known: dict[str, dict[bytes, bytes]] = {}
        self._used: dict[str, list[bytes]] = {}
        self._stale: set[str] = set()

    def digests(self, root: str, keys: bytes) -> list[bytes]:
        """The digest of each file, in the order of the packed keys; empty for one that is not known."""
        if root not in self._loaded:
            self._loaded[root] = self._load(root)
        loaded = self._loaded[root]
        if loaded.keys == keys:  # nothing changed, and the file system lists in the same order
            return list(loaded.digests)
        known = self._of(root)
        return [known.get(key, b"") for key in _cut(keys, KEY_SIZE)]

    def record(self, root: str, keys: bytes, fresh: Mapping[bytes, bytes]) -> None:
        """Take note of a walk: the keys of all its files, and the digests it adds, of which none may be racy."""
        self._used.setdefault(root, []).append(keys)
        if fresh:
            self._of(root).update(fresh)
        if fresh or len(self._loaded[root].keys) > 2 * len(keys):
            self._stale.add(root)

    def _of(self, root: str) -> dict[bytes, bytes]:
        if root not in self._known:
            loaded = self._loaded[root]
            self._known[root] = dict(zip(_cut(loaded.keys, KEY_SIZE), loaded.digests, strict=True))
        return self._known[root]

    def save(self) -> None:
        """Write what changed; entries that no walk of this command used are dropped."""
        stale, self._stale = self._stale, set()
        if self._folder is None or not stale:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for root in stale:
                known = self._of(root)
                used = {key: known[key] for keys in self._used[root] for key in _cut(keys, KEY_SIZE) if key in known}
                with contextlib.suppress(OSError):
                    _replace(self._file(self._folder, root), _encode(used))
            _prune(self._folder)

    @staticmethod
    def _file(folder: Path, root: str) -> str:
        name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:32]
        return os.path.join(folder, f"{name}.stat")

    def _load(self, root: str) -> _Entries:
        if self._folder is None:
            return _NOTHING
        path = self._file(self._folder, root)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return _NOTHING
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                return _NOTHING
            content = os.read(descriptor, status.st_size)
            if status.st_mtime < time.time() - _DAY:
                os.utime(descriptor)  # still in use
        except OSError:
            return _NOTHING
        finally:
            os.close(descriptor)
        return _decode(content)


def _encode(entries: Mapping[bytes, bytes]) -> bytes:
    body = b"".join((*entries.keys(), *entries.values()))
    return b"".join((_MAGIC, hashlib.sha256(body).digest(), body))


def _decode(content: bytes) -> _Entries:
    """Read what `_encode` wrote; anything else, or a byte changed, is nothing."""
    count, rest = divmod(len(content) - _HEADER, KEY_SIZE + _DIGEST)
    checksum = hashlib.sha256(memoryview(content)[_HEADER:]).digest()
    if rest or not content.startswith(_MAGIC + checksum):
        return _NOTHING
    middle = _HEADER + count * KEY_SIZE
    return _Entries(content[_HEADER:middle], _cut(content[middle:], _DIGEST))


def _cut(data: bytes, size: int) -> tuple[bytes, ...]:
    return struct.Struct(f"{size}s" * (len(data) // size)).unpack(data)


def _replace(path: str, content: bytes) -> None:
    """Write a file so that another process sees the old one or the new one."""
    partial = f"{path}.{os.getpid()}.{time.monotonic_ns()}"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(partial, path)
    except OSError:
        os.unlink(partial)
        raise


def _prune(folder: Path) -> None:
    """Drop the files of roots long unused, and what an interrupted process left."""
    with os.scandir(folder) as listing:
        ages = sorted(
            (entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in listing if ".stat" in entry.name
        )
    oldest = time.time() - _MAX_AGE
    surplus = len(ages) - _MAX_ROOTS
    for place, (modified, path) in enumerate(ages):
        if modified < oldest or place < surplus:
            os.unlink(path)
