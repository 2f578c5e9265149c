"""What a layer takes from the user's files: a small folder put together from snapshots, files and text."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from threading import Lock, Thread
from typing import TYPE_CHECKING, TypeAlias

from imagebuilder.errors import BuildError
from imagebuilder.sources.snapshot import File, Folder, Link, Snapshot
from imagebuilder.sources.stage import stage, stage_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Text:
    """A file whose bytes were derived from the user's, such as a requirements file without its comments."""

    data: bytes
    executable: bool = False

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes, in hex, with a mark where the file is executable."""
        return f"x{self.sha256}" if self.executable else self.sha256

    @property
    def total_bytes(self) -> int:
        """The size."""
        return len(self.data)


@dataclass(frozen=True)
class Original:
    """One file of the user's as it stands: `file` says what it held, `location` where it is."""

    file: File
    location: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes, in hex, with a mark where the file is executable."""
        return f"x{self.file.sha256}" if self.file.executable else self.file.sha256

    @property
    def total_bytes(self) -> int:
        """The size."""
        return self.file.size


Piece: TypeAlias = Snapshot | Original | Text


@dataclass(frozen=True)
class Material:
    """Pieces by their place in the folder, in the order of places; a snapshot at `""` is the folder itself.

    `entry` is the place of the file or folder that a step acts on, where that is not fixed.
    """

    pieces: tuple[tuple[str, Piece], ...] = ()
    entry: str = ""

    def __post_init__(self) -> None:
        places = [at for at, _ in self.pieces]
        for at in (*places, self.entry):
            if at and (at.startswith("/") or not {"", ".", ".."}.isdisjoint(at.split("/"))):
                raise ValueError(f"{at!r} is not a place inside a folder")
        if len(set(places)) != len(places):
            raise ValueError(f"two pieces have one place: {sorted(places)}")
        # A folder comes before what is placed inside it.
        object.__setattr__(self, "pieces", tuple(sorted(self.pieces, key=lambda pair: pair[0])))

    @cached_property
    def digest(self) -> str:
        """The SHA-256, in hex, of each piece's place, kind and digest, every part prefixed by its length."""
        hasher = hashlib.sha256(b"imagebuilder material 1\n")
        parts = [self.entry]
        for at, piece in self.pieces:
            parts += [at, "folder" if isinstance(piece, Snapshot) else "file", piece.digest]
        for part in parts:
            data = part.encode("utf-8", "surrogateescape")
            hasher.update(b"%d\n%s" % (len(data), data))
        return hasher.hexdigest()

    @property
    def total_bytes(self) -> int:
        """The size of all files together."""
        return sum(piece.total_bytes for _, piece in self.pieces)

    def contents(self) -> Iterator[tuple[str, str]]:
        """Every path with a text that differs where the content does; for telling what changed."""
        for at, piece in self.pieces:
            if not isinstance(piece, Snapshot):
                yield at, piece.digest
                continue
            for entry in piece.entries:
                path = f"{at}/{entry.path}" if at else entry.path
                match entry:
                    case File(_, executable, _, sha256):
                        yield path, f"x{sha256}" if executable else sha256
                    case Folder():
                        yield path, "folder"
                    case Link(_, target):
                        yield path, f"link {target}"

    def write(self, folder: Path) -> None:
        """Put the pieces into a new folder, each file checked against what was identified.

        Raises:
            SourceChangedError: a file is no longer what it was.
            BuildError: the folder cannot be written.
        """
        try:
            _make(folder)
            for at, piece in self.pieces:
                target = folder / at if at else folder
                _make(target.parent)
                match piece:
                    case Snapshot():
                        stage(piece, target)
                    case Original(file, location):
                        stage_file(file, location, target)
                    case Text(data, executable):
                        _write(target, data, 0o755 if executable else 0o644)
        except OSError as error:
            raise BuildError(
                f"the build context cannot be written: {error.filename or folder}: {error.strerror or error}",
                hint="the folder must be empty, writable and on a disk with room",
            ) from None


class LaterMaterial(Material):
    """Pieces that are put together when they are first looked at; `key` differs where they do, known before that."""

    def __init__(self, key: str, make: Callable[[], Iterable[tuple[str, Piece]]]) -> None:
        vars(self).update(key=key, make=make, lock=Lock())

    def begin(self) -> None:
        """Put them together beside other work; who looks waits. A failure is told to whoever looks."""

        def make() -> None:
            with suppress(Exception):
                _ = self.pieces

        if "made" not in vars(self):
            Thread(target=make, name="material").start()

    @property
    def pieces(self) -> tuple[tuple[str, Piece], ...]:
        """Pieces by their place in the folder, in the order of places."""
        mine = vars(self)
        with mine["lock"]:
            if "made" not in mine:
                mine["made"] = Material(tuple(mine["make"]())).pieces
            made: tuple[tuple[str, Piece], ...] = mine["made"]
            return made

    @property
    def digest(self) -> str:
        """The key."""
        key: str = vars(self)["key"]
        return key


def _make(folder: Path) -> None:
    """Make a folder and those above it, whatever the umask."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir()
        folder.chmod(0o755)


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
