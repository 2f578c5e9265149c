"""Entries of several origins made one layer's."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError
from imagebuilder.layers.layer import Content, Packed, TarEntry
from imagebuilder.layers.tar_header import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imagebuilder.layers.outline import Claim


def merge(plans: Iterable[Iterable[TarEntry]], root: str) -> list[TarEntry]:
    """One layer's entries in the order of paths, with the folders above them as far as below `root`.

    Of two entries with one path the later plan's stays: a tar archive with one path twice cannot be pulled.
    """
    found: dict[str, TarEntry] = {}
    for plan in plans:
        for entry in plan:
            if entry.kind is not Kind.FOLDER or entry.path not in found:
                found[entry.path] = entry
    for path in list(found):
        for folder in parents(path):
            if folder in found or not folder.startswith(f"{root}/"):
                break
            found[folder] = TarEntry.folder(folder)
    # By their parts, not by their letters: a folder's own files come right behind it.
    return [found[path] for path in sorted(found, key=lambda path: path.split("/"))]


def with_folders(entries: Iterable[TarEntry], root: str) -> Iterator[TarEntry]:
    """As `merge` does to entries that are in its order already, one at a time: folders come before what is in them."""
    seen: set[str] = set()
    for entry in entries:
        missing: list[str] = []
        for folder in parents(entry.path):
            if folder in seen or not folder.startswith(f"{root}/"):
                break
            missing.append(folder)
        seen.update(missing)
        yield from map(TarEntry.folder, reversed(missing))
        yield entry


def collisions(plans: Mapping[str, Sequence[Claim]]) -> list[tuple[str, ...]]:
    """The names of plans that have a path in common, and not the same file there.

    Raises:
        SourceError: it is a file in one and a folder in another.
    """
    holders: dict[str, list[tuple[str, Claim]]] = defaultdict(list)
    folders: dict[str, str] = {}
    for name, entries in plans.items():
        for entry in entries:
            if entry.kind is Kind.FOLDER:
                folders.setdefault(entry.path, name)
            else:
                holders[entry.path].append((name, entry))
            for folder in parents(entry.path):
                if folder in folders:
                    break
                folders[folder] = name
    for path in sorted(folders.keys() & holders.keys()):
        raise SourceError(
            f"/{path} is a file in {holders[path][0][0]} and a folder in {folders[path]}",
            hint="the two cannot be installed together",
        )
    return [
        tuple(name for name, _ in found)
        for found in holders.values()
        if len(found) > 1 and len({(entry.mode, entry.identity) for _, entry in found}) > 1
    ]


def parents(path: str) -> Iterator[str]:
    """The folders above a path, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def identity(content: Content) -> bytes:
    """What tells a content from others: a digest of it."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).digest()
    return content.digest if isinstance(content, Packed) else content.sha256
