"""Unpacks an archive of code, which anybody may have made."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import zlib
from typing import TYPE_CHECKING

from tasksdk.errors import UserInputError

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 1 << 30
MOST_MEMBERS = 100_000
# tarfile reads a header of any length at once: a long name, or a table of attributes.
_LONGEST_PIECE = 1 << 20


def unpack(data: bytes, folder: Path, uri: str) -> None:
    """Write what a gzipped archive holds into a new folder.

    Raises:
        UserInputError: it is damaged, would write outside, holds anything but files and folders, or too much of them.
    """
    folder.mkdir(mode=0o700)
    inflated = _Inflated(data, uri)
    try:
        with tarfile.open(fileobj=inflated, mode="r:") as archive:
            for count, member in enumerate(archive):
                _refuse_hostile(member, count, uri)
                _write(archive, member, folder.joinpath(*member.name.split("/")), uri)
            inflated.finish()
    except UserInputError:
        raise
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        raise UserInputError(f"the code bundle {uri} cannot be unpacked: {error}") from None


class _Inflated(gzip.GzipFile):
    """The archive without its compression, in pieces and all in all of no more than a bounded size."""

    def __init__(self, data: bytes, uri: str) -> None:
        super().__init__(fileobj=io.BytesIO(data), mode="rb")
        self._uri = uri
        self._left = MOST_BYTES

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LONGEST_PIECE:
            raise UserInputError(f"the code bundle {self._uri} has a header that is too long")
        data = super().read(size)
        self._left -= len(data)
        if self._left < 0:
            raise UserInputError(f"the code bundle {self._uri} unpacks to more than {MOST_BYTES >> 20} MiB")
        return data

    def finish(self) -> None:
        """Read to the end, where the checksum is: tarfile takes a header that it cannot read for the end."""
        while data := self.read(_LONGEST_PIECE):
            if data.strip(b"\0"):
                raise UserInputError(f"the code bundle {self._uri} cannot be unpacked: a part of it cannot be read")


def _refuse_hostile(member: tarfile.TarInfo, count: int, uri: str) -> None:
    parts = member.name.split("/")
    if member.name.startswith("/") or "\\" in member.name or not {"", ".", ".."}.isdisjoint(parts):
        raise UserInputError(f"the code bundle {uri} holds {member.name!r}, which leads outside of it")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise UserInputError(f"the code bundle {uri} holds {member.name!r}, which is neither a file nor a folder")
    if member.size > MOST_BYTES:
        raise UserInputError(f"the code bundle {uri} unpacks to more than {MOST_BYTES >> 20} MiB")
    if count >= MOST_MEMBERS:
        raise UserInputError(f"the code bundle {uri} holds more than {MOST_MEMBERS} files")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, uri: str) -> None:
    try:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        content = archive.extractfile(member)
        assert content is not None
        with path.open("xb") as file:
            shutil.copyfileobj(content, file)
    except (FileExistsError, NotADirectoryError):
        raise UserInputError(f"the code bundle {uri} holds {member.name!r} twice") from None
    path.chmod(0o755 if member.mode & 0o100 else 0o644)
