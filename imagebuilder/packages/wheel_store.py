"""Files by their SHA-256 on this disk: `sha256/<hex>/<file name>` below a folder.

A file is written beside the others and moved into place when its digest is known to be right, so that neither a kill
nor another process leaves a wrong one. It is verified again whenever it is taken out.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.errors import VerificationError, WorkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imagebuilder.packages.locked import LockedFile

_PIECE: Final = 1 << 20
_ABANDONED: Final = 3600.0  # seconds without a byte; a download that lives writes every few seconds


class WheelStore:
    """One folder of files, shared by threads and processes; `clock` tells seconds since the epoch."""

    def __init__(self, folder: str | os.PathLike[str], clock: Callable[[], float] = time.time) -> None:
        self.folder = Path(folder)
        self._clock = clock

    def find(self, file: LockedFile) -> Path | None:
        """The path of a file that is there and whole; a damaged one is removed."""
        path = self._path(file)
        try:
            with path.open("rb") as opened:
                digest = _digest(opened.fileno())
        except OSError:
            return None
        if digest == file.sha256:
            with contextlib.suppress(OSError):
                os.utime(path)  # what was used last is pruned last
            return path
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def size(self, file: LockedFile) -> int | None:
        """Bytes of the file of that digest, without looking into it; None if it is not there."""
        try:
            return self._path(file).stat().st_size
        except OSError:
            return None

    def add(self, file: LockedFile, pieces: Iterable[bytes], source: str) -> Path:
        """Write a file from its pieces; `source` is where they come from, for messages.

        Raises:
            VerificationError: they are not what was locked; nothing is kept.
            WorkError: the disk cannot hold them.
        """
        path = self._path(file)
        parts = self.folder / "parts"
        try:
            parts.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=parts, prefix="part-")
        except OSError as error:
            raise self._unwritable(error) from None
        part = Path(name)
        try:
            self._fill(descriptor, file, pieces, source)
            self._move(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        return path

    def _fill(self, descriptor: int, file: LockedFile, pieces: Iterable[bytes], source: str) -> None:
        hasher, size = hashlib.sha256(), 0
        with os.fdopen(descriptor, "wb", buffering=0):
            for piece in pieces:
                size += len(piece)
                if file.size is not None and size > file.size:
                    raise VerificationError(
                        f"{file.name} from {source} is longer than the {file.size} bytes that were locked", hint=_HINT
                    )
                hasher.update(piece)
                self._write(descriptor, piece)
        if hasher.hexdigest() != file.sha256:
            raise VerificationError(
                f"{file.name} from {source} has the SHA-256 {hasher.hexdigest()}, and {file.sha256} was locked",
                hint=_HINT,
            )

    def _move(self, part: Path, path: Path) -> None:
        try:
            part.chmod(0o644)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                part.replace(path)
            except FileNotFoundError:  # its folder was empty, and pruned just now
                path.parent.mkdir(parents=True, exist_ok=True)
                part.replace(path)
        except OSError as error:
            raise self._unwritable(error) from None

    def sweep(self) -> None:
        """Remove what killed processes left half written."""
        with contextlib.suppress(OSError):
            for part in (self.folder / "parts").iterdir():
                with contextlib.suppress(OSError):
                    if part.stat().st_mtime < self._clock() - _ABANDONED:
                        part.unlink()

    def _write(self, descriptor: int, piece: bytes) -> None:
        view = memoryview(piece)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> WorkError:
        return WorkError(
            f"the cache {self.folder} cannot be written: {error.strerror or error}",
            hint="free some space, or set another cache_dir",
        )

    def _path(self, file: LockedFile) -> Path:
        return self.folder / "sha256" / file.sha256 / file.name


_HINT: Final = "if the lock is right, somebody changed the file; if the file was published anew, lock again"


def _digest(descriptor: int) -> str:
    hasher = hashlib.sha256()
    while data := os.read(descriptor, _PIECE):
        hasher.update(data)
    return hasher.hexdigest()
