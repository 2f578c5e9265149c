"""Wheels to layers."""

from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError
from imagebuilder.layers.install import install
from imagebuilder.layers.layer import Content, Layer, Packed, TarEntry
from imagebuilder.layers.pack import LAYER_LIMIT, Sized, pack
from imagebuilder.layers.tar_header import Kind
from imagebuilder.layers.writer import write_layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imagebuilder.layers.layer_cache import LayerCache
    from imagebuilder.layers.target import InstallTarget
    from imagebuilder.layers.wheel import WheelFile


def assemble(
    wheels: Sequence[WheelFile],
    target: InstallTarget,
    store_dir: str | os.PathLike[str],
    *,
    cache: LayerCache | None = None,
    budget: int = LAYER_LIMIT,
    workers: int | None = None,
) -> list[Layer]:
    """Install wheels into layers, written into the OCI layout at `store_dir`; the same wheels give the same layers.

    Where two wheels have one path with different contents they share a layer, and the one whose name sorts last wins:
    installers have no order that one could rely on. A layer that `cache` knows is not written again if its blob is
    still in the store.

    Raises:
        SourceError: a wheel is not what it says, two are of one project, or one's file is another's folder.
    """
    names = {wheel.name: wheel for wheel in wheels}
    if len(names) != len(wheels):
        twice = next(wheel for wheel in wheels if names[wheel.name] is not wheel)
        raise SourceError(
            f"{twice.path.name} and {names[twice.name].path.name} are two wheels of one project",
            hint="an environment holds one version of each",
        )
    blobs = Path(store_dir) / "blobs" / "sha256"
    plans = {name: install(wheel, target) for name, wheel in sorted(names.items())}
    groups = pack([Sized(wheel.name, wheel.size) for wheel in wheels], together=collisions(plans), budget=budget)

    def layer(group: tuple[str, ...]) -> Layer:
        members = [names[name] for name in group]
        found = cache.find(members, target, blobs) if cache else None
        if found is None:
            entries = merge([plans[name] for name in group], target.root)
            what = ", ".join(f"{wheel.name} {wheel.version}" for wheel in members)
            found = write_layer(entries, blobs, what=what, owner=target.owner, mtime=target.mtime)
            if cache:
                cache.remember(members, target, found)
        return found

    with ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="layer") as pool:
        return list(pool.map(layer, groups))


def collisions(plans: dict[str, list[TarEntry]]) -> list[tuple[str, ...]]:
    """The wheels that have a path in common, and not the same file there.

    Raises:
        SourceError: it is a file in one wheel and a folder in another.
    """
    holders: dict[str, list[tuple[str, TarEntry]]] = defaultdict(list)
    folders: dict[str, str] = {}
    for name, entries in plans.items():
        for entry in entries:
            if entry.kind is not Kind.FOLDER:
                holders[entry.path].append((name, entry))
            for folder in parents(entry.path):
                if folder in folders:
                    break
                folders[folder] = name
            if entry.kind is Kind.FOLDER:
                folders.setdefault(entry.path, name)
    for path in sorted(folders.keys() & holders.keys()):
        raise SourceError(
            f"/{path} is a file in {holders[path][0][0]} and a folder in {folders[path]}",
            hint="the two cannot be installed together",
        )
    groups: list[tuple[str, ...]] = []
    for found in holders.values():
        if len(found) > 1 and len({(entry.mode, _identity(entry.content)) for _, entry in found}) > 1:
            groups.append(tuple(name for name, _ in found))
    return groups


def merge(plans: Iterable[Iterable[TarEntry]], root: str) -> list[TarEntry]:
    """One layer's entries in the order of paths, with the folders above them as far as `root`; later plans win."""
    found: dict[str, TarEntry] = {}
    for plan in plans:
        for entry in plan:
            found[entry.path] = entry
    for path in list(found):
        for folder in parents(path):
            if folder in found or not folder.startswith(f"{root}/"):
                break
            found[folder] = TarEntry.folder(folder)
    return [found[path] for path in sorted(found)]


def parents(path: str) -> Iterable[str]:
    """The folders above a path, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def _identity(content: Content) -> bytes:
    import hashlib  # noqa: PLC0415

    if isinstance(content, bytes):
        return hashlib.sha256(content).digest()
    return content.digest if isinstance(content, Packed) else content.sha256
