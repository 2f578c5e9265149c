"""Locking images: what is fresh stays as it is, what moved is pinned anew with as few changes as can be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imagebuilder.builders.port import BuildRequest
from imagebuilder.identity.inputs import base_of, inputs, moved
from imagebuilder.lock.pins import ImageLock
from imagebuilder.plan.ops import Plan
from imagebuilder.plan.pinned import pinned_base
from imagebuilder.plan.sdk import pinned_digest, sdk_of
from imagebuilder.plan.secrets import needs
from imagebuilder.spec.layers import PythonLayer
from imagebuilder.vault import site_is_usable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imagebuilder.builders.direct.pinning import Pinner
    from imagebuilder.builders.events import Emit
    from imagebuilder.engine import Engine
    from imagebuilder.identity.identified import Identified
    from imagebuilder.lock.pins import Pins
    from imagebuilder.spec.platform import Platform


@dataclass(frozen=True)
class Upgrade:
    """What is not to stay as it was locked: `packages` by their normalized names."""

    everything: bool = False
    base: bool = False
    packages: frozenset[str] = field(default_factory=frozenset)

    @property
    def nothing(self) -> bool:
        """Whether all may stay."""
        return not (self.everything or self.base or self.packages)


@dataclass(frozen=True)
class Wanted:
    """An image to lock, identified without a lock, by its spec's file and variable; `entry` is what is locked now."""

    item: Identified
    spec: str
    name: str
    entry: ImageLock | None = None

    def moved(self, engine: Engine) -> list[str]:
        """What the spec has otherwise than the entry."""
        item = self.item
        if self.entry is None:
            return ["it is not in the lock"]
        return moved(self.entry, inputs(item.image, item.materials, engine.resolver.recipe), item.image.platforms)


def lock(engine: Engine, pinner: Pinner, wanted: Sequence[Wanted], upgrade: Upgrade, emit: Emit) -> list[ImageLock]:
    """The new entries, in the same order; one that is fresh is given back as it is, unless it is to be upgraded.

    Raises:
        ImageBuilderError: a base could not be asked for, or requirements have no solution.
    """
    site_is_usable(engine.site)
    return [
        replace(one.entry, image=one.item.image.name or "")
        if one.entry is not None and upgrade.nothing and not one.moved(engine)
        else _lock(engine, pinner, one, upgrade, emit)
        for one in wanted
    ]


def _lock(engine: Engine, pinner: Pinner, wanted: Wanted, upgrade: Upgrade, emit: Emit) -> ImageLock:
    item, entry, recipe = wanted.item, wanted.entry, engine.resolver.recipe
    image = item.image
    base = base_of(image, item.materials, recipe)
    plan = engine.plan(item)
    assert isinstance(plan, Plan)
    keeps_base = entry is not None and entry.base == base and not (upgrade.base or upgrade.everything)
    if entry is not None and keeps_base:
        plan = replace(plan, base=pinned_base(plan.base, entry.pins(())))
    python = tuple(layer for layer in image.layers if isinstance(layer, PythonLayer))
    request = BuildRequest(
        item.title,
        plan,
        image.platforms,
        secrets=engine.vault.values(needs(image.replace(layers=python))),
        site=engine.site,
    )

    def below(layer: int, bases: Pins) -> BuildRequest | None:
        prefix = engine.below(replace(item, pins=bases), layer)
        secrets = engine.vault.values(needs(image.replace(layers=image.layers[: layer - 1]))) if prefix else {}
        return replace(request, prefix=prefix, secrets=secrets) if prefix else None

    preferences = _preferences(entry, image.platforms, upgrade)
    pins = pinner.pin(request, entry if keeps_base else None, preferences, emit, below)
    return ImageLock(
        spec=wanted.spec,
        name=wanted.name,
        base=base,
        digest=pins.base,
        inputs=inputs(image, item.materials, recipe),
        platforms=pins.platforms,
        image=image.name or "",
        sdk=_sdk(engine, item, pins),
    )


def _sdk(engine: Engine, item: Identified, pins: Pins) -> str:
    """The digest of the task SDK's files, put together as the build will have them."""
    wanted = sdk_of(item.image, item.materials)
    if wanted is None:
        return ""
    return pinned_digest(engine.sdks(wanted._replace(bytecode=pins.bytecode)).pieces)


def _preferences(
    entry: ImageLock | None, platforms: Sequence[Platform], upgrade: Upgrade
) -> Mapping[Platform, Mapping[str, str]]:
    if entry is None or upgrade.everything:
        return {}
    return {platform: entry.versions(str(platform), upgrade.packages) for platform in platforms}
