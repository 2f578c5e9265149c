"""A layer's material where uv can read it, and where its files are on this machine."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.errors import BuildError, SourceChangedError, SourceError
from imagebuilder.sources.material import Original, Text
from imagebuilder.sources.snapshot import Snapshot
from imagebuilder.sources.stage import stage

if TYPE_CHECKING:
    from imagebuilder.packages.locked import LockedFile, LockedPackage
    from imagebuilder.sources.material import Material


def write_material(material: Material, folder: Path, *, folders: bool = True) -> None:
    """Put a material into a folder; single files as links, since a wheel is large and only its metadata is read.

    Without `folders` those are left out: a lock is exported without the sources of its projects.

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
            elif isinstance(piece, Snapshot):
                if folders:
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


def placed(package: LockedPackage, material: Material, layer: int, title: str) -> LockedPackage:
    """A package of a layer, with where its files are on this machine.

    Raises:
        SourceError: a file is not among those of the layer.
        SourceChangedError: a file is not the one that was locked.
    """

    def found(file: LockedFile) -> LockedFile:
        if file.place is None:
            return file
        known = locate(material, file.place)
        if known is None:
            raise SourceError(f"{title}: there is no {file.place} among its files", hint="lock again")
        location, sha256 = known
        if sha256 != file.sha256:
            raise SourceChangedError(
                f"{title}: {location} is not the file that was locked: its SHA-256 is {sha256}",
                hint="lock again, or let nothing write to it while the image is built",
            )
        return replace(file, location=location)

    sdist = package.sdist and found(package.sdist)
    return replace(package, layer=layer, wheels=tuple(map(found, package.wheels)), sdist=sdist)


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
