"""Copying a snapshot's files into a build context, and proving that they are still the ones that were hashed."""

# Paths are strings here: a Path per file would cost more than the work itself.
# ruff: noqa: PTH100, PTH101, PTH102, PTH103, PTH211

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from imagebuilder.errors import BuildError, SourceChangedError
from imagebuilder.sources.content import CHUNK, READ_FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.sources.snapshot import File, Snapshot

_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW

# The umask has no say in what an image holds.
_FOLDER_MODE = 0o755
_MODES = {"x": 0o755, "-": 0o644}


def stage(snapshot: Snapshot, destination: str | os.PathLike[str]) -> None:
    """Write a snapshot into a folder that does not exist yet or is empty.

    Files are 0644 or 0755, folders 0755, links are links. Times are those of the copy: BuildKit takes a file for
    unchanged if its size and mtime are. After an error the folder is incomplete.

    Raises:
        SourceChangedError: a file is no longer what the snapshot says.
        BuildError: the copy cannot be written.
    """
    top = os.fspath(destination)
    try:
        os.makedirs(top, exist_ok=True)
        os.chmod(top, _FOLDER_MODE)
        for folder in snapshot.folders:
            os.mkdir(f"{top}/{folder}")
            os.chmod(f"{top}/{folder}", _FOLDER_MODE)
        for link in snapshot.links:
            os.symlink(link.target, f"{top}/{link.path}")
    except OSError as error:
        raise _cannot_write(error.filename2 or error.filename or top, error) from None
    root = snapshot.root
    for path, mode, digest in zip(snapshot.paths, snapshot.modes, snapshot.digests, strict=True):
        _copy(f"{root}/{path}", f"{top}/{path}", _MODES[mode], digest, path)


def stage_file(file: File, source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> None:
    """Write the file that `snapshot_file(source)` described; a link is followed, as it was then.

    Raises:
        SourceChangedError: the file is no longer what was described.
        BuildError: the copy cannot be written.
    """
    mode = _MODES["x" if file.executable else "-"]
    _copy(
        os.path.abspath(source),
        os.fspath(destination),
        mode,
        bytes.fromhex(file.sha256),
        os.fspath(source),
        follow=True,
    )


def _copy(source: str, destination: str, mode: int, digest: bytes, name: str, *, follow: bool = False) -> None:
    """Read, hash and write in one pass; `name` is what a message calls the file."""
    try:
        reader = os.open(source, READ_FLAGS if follow else READ_FLAGS | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise _changed(name, "vanished") from None
    except OSError as error:
        raise _changed(name, f"became unreadable ({error.strerror})") from None
    try:
        hasher = hashlib.sha256()
        writer = os.open(destination, _WRITE_FLAGS, mode)
        try:
            os.fchmod(writer, mode)
            for piece in _pieces(reader, name):
                hasher.update(piece)
                written = os.write(writer, piece)
                while written < len(piece):
                    written += os.write(writer, memoryview(piece)[written:])
        finally:
            os.close(writer)
    except OSError as error:
        raise _cannot_write(destination, error) from None
    finally:
        os.close(reader)
    if hasher.digest() != digest:
        raise _changed(name)


def _pieces(reader: int, name: str) -> Iterator[bytes]:
    try:
        opened = os.fstat(reader)
        if not stat.S_ISREG(opened.st_mode):
            raise _changed(name)
        piece = os.read(reader, min(opened.st_size + 1, CHUNK))
        yield piece
        if len(piece) == opened.st_size:
            return
        while piece := os.read(reader, CHUNK):
            yield piece
    except OSError as error:
        raise _changed(name, f"became unreadable ({error.strerror})") from None


def _changed(name: str, what: str = "changed") -> SourceChangedError:
    return SourceChangedError(f"{name} {what} while the image was being built", hint="run the command again")


def _cannot_write(path: object, error: OSError) -> BuildError:
    return BuildError(
        f"the build context cannot be written: {path}: {error.strerror or error}",
        hint="the folder must be empty, writable and on a disk with room",
    )
