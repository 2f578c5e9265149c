"""A layer's material where uv can read it, and where its files are on this machine."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.errors import BuildError
from imagebuilder.sources.material import Original, Text
from imagebuilder.sources.snapshot import Snapshot
from imagebuilder.sources.stage import stage

if TYPE_CHECKING:
    from imagebuilder.sources.material import Material


def write_material(material: Material, folder: Path, *, texts_only: bool = False) -> None:
    """Put a material into a folder; single files as links, since a wheel is large and only its metadata is read.

    `texts_only` leaves out what was not derived: a lock is exported without the sources of its projects.

    Raises:
        SourceChangedError: a file in a folder is no longer what it was.
        BuildError: the folder cannot be written.
    """
    try:
        for at, piece in material.pieces:
            target = folder / at
            if isinstance(piece, Text):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(piece.data)
            elif texts_only:
                continue
            elif isinstance(piece, Snapshot):
                target.parent.mkdir(parents=True, exist_ok=True)
                stage(piece, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(piece.location)
    except OSError as error:
        raise BuildError(
            f"the files of a layer cannot be written to {error.filename or folder}: {error.strerror or error}",
            hint="the folder for temporary files must be writable and on a disk with room",
        ) from None


def locate(material: Material, place: str) -> tuple[str, str] | None:
    """Where a file of a material is on this machine, and the SHA-256, in hex, that it was identified by."""
    for at, piece in material.pieces:
        if isinstance(piece, Original) and at == place:
            return piece.location, piece.file.sha256
        if isinstance(piece, Snapshot) and (not at or place.startswith(f"{at}/")):
            path = posixpath.relpath(place, at or ".")
            if path in piece.paths:
                return str(Path(piece.root) / path), piece.digests[piece.paths.index(path)].hex()
    return None
