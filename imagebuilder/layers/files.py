"""A layer of the user's own files.

They are stored, not compressed: the digest must be the same on every machine, and what zlib writes is not. Encoders in
Python were tried on 4.7 MB of modules: Huffman codes alone make 2.9 MB in 0.2 s, with matches of words about 2 MB in
1 s (zlib: 1.2 MB in 0.2 s). Both cost more time than they save on any link above 100 Mbit/s.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.errors import SpecError
from imagebuilder.layers.layer import MTIME, Layer, OnDisk, TarEntry
from imagebuilder.layers.merge import merge, parents
from imagebuilder.layers.tar_header import Kind
from imagebuilder.layers.writer import write_layer
from imagebuilder.sources.material import Material, Original, Text
from imagebuilder.sources.snapshot import Snapshot

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Iterator

# Folders of nearly every base, with modes and owners of their own: an entry for one would replace them.
USUAL_FOLDERS: Final = frozenset(
    """bin boot dev etc home lib lib64 media mnt opt proc root run sbin srv sys tmp
    usr usr/bin usr/lib usr/local usr/local/bin usr/local/lib usr/sbin usr/share usr/src
    var var/cache var/lib var/log var/tmp""".split()  # noqa: SIM905 - thirty quoted names are no easier to read
)


def files_layer(
    material: Material,
    dst: str,
    store_dir: str | os.PathLike[str],
    *,
    what: str,
    owner: tuple[int, int] = (0, 0),
    mtime: int = MTIME,
    existing: Collection[str] = USUAL_FOLDERS,
) -> Layer:
    """Put a material at the absolute path `dst`: a folder's content into it; a file, with `entry`, at it.

    Folders get entries except those in `existing`, paths without a slash before, which keep what the base gave them.

    Raises:
        SourceChangedError: a file is no longer what was identified.
        SourceError: a file cannot be read.
    """
    return entries_layer(
        material_entries(material, dst), store_dir, what=what, owner=owner, mtime=mtime, existing=existing
    )


def entries_layer(
    entries: Iterable[TarEntry],
    store_dir: str | os.PathLike[str],
    *,
    what: str,
    owner: tuple[int, int] = (0, 0),
    mtime: int = MTIME,
    existing: Collection[str] = USUAL_FOLDERS,
) -> Layer:
    """Any entries, with the folders above them that are not in `existing`, as a layer."""
    given = list(entries)
    above = {folder for entry in given for folder in parents(entry.path)}
    folders = [TarEntry.folder(path) for path in above]
    kept = [entry for entry in (*folders, *given) if entry.kind is not Kind.FOLDER or entry.path not in existing]
    blobs = Path(store_dir) / "blobs" / "sha256"
    return write_layer(merge([kept], "\0"), blobs, what=what, owner=owner, mtime=mtime)


def material_entries(material: Material, dst: str) -> Iterator[TarEntry]:
    """The entries of a material at `dst`, in no order and without the folders above it."""
    place = posixpath.normpath(dst).strip("/")
    if not dst.startswith("/") or ".." in dst.split("/"):
        raise SpecError(f"{dst!r} is not an absolute path inside an image")
    for at, piece in material.pieces:
        if material.entry and at == material.entry:
            path = f"{place}/{at}".lstrip("/") if dst.endswith("/") else place
        else:
            path = f"{place}/{at}".strip("/")
        match piece:
            case Snapshot():
                yield from _tree(piece, path)
            case Original(file, location):
                content = OnDisk(location, bytes.fromhex(file.sha256))
                yield TarEntry(path, Kind.FILE, 0o755 if file.executable else 0o644, file.size, content)
            case Text(data, executable):
                yield TarEntry.file(path, data, executable=executable)


def _tree(snapshot: Snapshot, path: str) -> Iterator[TarEntry]:
    if path:
        yield TarEntry.folder(path)
    start = f"{path}/" if path else ""
    for folder in snapshot.folders:
        yield TarEntry.folder(start + folder)
    for link in snapshot.links:
        yield TarEntry.symlink(start + link.path, link.target)
    columns = zip(snapshot.paths, snapshot.modes, snapshot.sizes, snapshot.digests, strict=True)
    for name, mode, size, digest in columns:
        content = OnDisk(f"{snapshot.root}/{name}", digest)
        yield TarEntry(start + name, Kind.FILE, 0o755 if mode == "x" else 0o644, size, content)
