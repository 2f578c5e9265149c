"""Wheels to layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError
from imagebuilder.layers.install import install
from imagebuilder.layers.layer_cache import LayerCache, blob_is_there, layer_key, stack_key
from imagebuilder.layers.merge import merge
from imagebuilder.layers.outline import Outline, divide
from imagebuilder.layers.packing import LAYER_LIMIT
from imagebuilder.layers.side_by_side import side_by_side
from imagebuilder.layers.writer import write_layer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from imagebuilder.layers.layer import Layer, TarEntry
    from imagebuilder.layers.target import InstallTarget
    from imagebuilder.layers.wheel import WheelFile


def assemble(
    wheels: Sequence[WheelFile],
    target: InstallTarget,
    store_dir: str | os.PathLike[str],
    *,
    plan: Plan | None = None,
    cache: LayerCache | None = None,
    budget: int = LAYER_LIMIT,
    workers: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[Layer]:
    """Install wheels into layers, written into the OCI layout at `store_dir`; the same wheels give the same layers.

    Where two wheels have one path with different contents they share a layer, and the one whose name sorts last wins:
    installers have no order that one could rely on. A layer that `cache` knows is not written again if its blob is
    still in the store, whole. `plan` is one that was made of the same wheels, target and budget. `check` is called on
    the way, to raise where nobody wants the layers any more.

    Raises:
        SourceError: a wheel is not what it says, two are of one project, or one's file is another's folder.
    """
    blobs = Path(store_dir) / "blobs" / "sha256"
    whole = stack_key([wheel.key for wheel in wheels], target, budget=budget) if cache else ""
    known = cache.get_stack(whole) if cache else None
    if known is not None and all(blob_is_there(blobs, layer) for layer in known):
        return known
    planned = plan or Plan.of(wheels, target, budget=budget)

    def layer(group: tuple[WheelFile, ...]) -> Layer:
        return spliced_layer(group, planned.installed, target, store_dir, cache=cache, check=check)

    made = side_by_side(layer, planned.groups, workers)
    if cache:
        cache.put_stack(whole, made)
    return made


def spliced_layer(
    group: tuple[WheelFile, ...],
    installed: Callable[[WheelFile], Sequence[TarEntry]],
    target: InstallTarget,
    store_dir: str | os.PathLike[str],
    *,
    cache: LayerCache | None = None,
    check: Callable[[], None] = lambda: None,
) -> Layer:
    """Wheels that share a layer; `installed` gives the entries of each. The rest is as `assemble`."""
    blobs = Path(store_dir) / "blobs" / "sha256"
    key = layer_key([wheel.key for wheel in group], target) if cache else ""
    found = cache.get(key) if cache else None
    if found and blob_is_there(blobs, found):
        return found
    what = ", ".join(f"{wheel.name} {wheel.version}" for wheel in group)
    entries = merge(map(installed, group), target.root)
    made = write_layer(entries, blobs, what=what, owner=target.owner, mtime=target.mtime, check=check)
    if cache:
        cache.put(key, made)
    return made


class Plan:
    """What each layer will hold: `groups` are the wheels of one layer each."""

    def __init__(
        self,
        groups: tuple[tuple[WheelFile, ...], ...],
        installed: dict[str, list[TarEntry]],
    ) -> None:
        self.groups = groups
        self._installed = installed

    @classmethod
    def of(
        cls,
        wheels: Sequence[WheelFile],
        target: InstallTarget,
        *,
        budget: int = LAYER_LIMIT,
        installed: Callable[[WheelFile, InstallTarget], list[TarEntry]] = install,
    ) -> Plan:
        """Plan the layers; see `assemble`."""
        by_name: dict[str, WheelFile] = {}
        for wheel in wheels:
            other = by_name.setdefault(wheel.name, wheel)
            if other is not wheel:
                raise SourceError(
                    f"{other.path.name} and {wheel.path.name} are two wheels of one project",
                    hint="an environment holds one version of each",
                )
        entries = {name: installed(wheel, target) for name, wheel in sorted(by_name.items())}
        groups = divide([Outline.of(wheel, entries[name]) for name, wheel in by_name.items()], budget)
        return cls(tuple(tuple(by_name[name] for name in group) for group in groups), entries)

    def installed(self, wheel: WheelFile) -> list[TarEntry]:
        """The entries of one wheel, as if it were alone."""
        return self._installed[wheel.name]
