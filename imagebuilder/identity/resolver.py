"""Identifies the images of a project: resolves what its configuration names, reads what its specs name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.errors import ConfigError, LockError
from imagebuilder.identity.identified import Identified
from imagebuilder.identity.identifier import identify
from imagebuilder.identity.inputs import can_be_locked, inputs, moved
from imagebuilder.sources.read import read_materials
from imagebuilder.spec.base import NamedBase, ReferenceBase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from imagebuilder.identity.recipe import Recipe
    from imagebuilder.lock.locks import Held, Locks
    from imagebuilder.lock.pins import ImageLock
    from imagebuilder.sources import Sources
    from imagebuilder.sources.materials import Materials
    from imagebuilder.spec.image import Image


RELOCK = "write the lock anew with `imagebuild lock`, review what changed, and commit it"


def stale_lock(title: str, held: Held, stale: Sequence[str]) -> str:
    """Say that a lock does not fit its image, and what moved."""
    return f"{title}: {held.path} is stale:\n" + "\n".join(f"  {line}" for line in stale)


@dataclass(frozen=True)
class Resolver:
    """`sources` makes a reader of the user's files for one call; `named` are the configuration's images.

    An image that `locks` has a fresh entry for is identified with it.
    """

    recipe: Recipe
    sources: Callable[[], Sources]
    named: Mapping[str, str] = field(default_factory=dict)
    registry: str | None = None
    locks: Locks | None = None

    def identify(self, images: Sequence[tuple[str, Image]]) -> list[Identified]:
        """Identify titled images, reading each folder once however many share it.

        Raises:
            InputError: a spec, or a file it names, cannot be part of an image.
            LockError: a lock is required, and missing or stale.
        """
        with self.sources() as sources:
            items = [self._identify(title, self.resolve(image), sources) for title, image in images]
        if self.locks is not None and self.locks.required:
            self._require(items, self.locks)
        return items

    def resolve(self, image: Image) -> Image:
        """Put the configuration's image in the place of its name, and its registry where the spec gives none.

        Raises:
            ConfigError: the configuration does not have the name.
        """
        if isinstance(image.base, NamedBase):
            image = image.replace(base=ReferenceBase(self._named(image.base.name)))
        if image.registry is None and self.registry is not None:
            image = image.replace(registry=self.registry)
        return image

    def _identify(self, title: str, image: Image, sources: Sources) -> Identified:
        materials = read_materials(image, sources, self.recipe.python_for)
        held = self.locks.by_title.get(title) if self.locks else None
        entry, stale = (None, []) if held is None else self._fresh(held, image, materials)
        pins = entry.pins(image.platforms) if entry is not None and not stale else None
        identity = identify(image, materials, self.recipe, pins.digest if pins else None)
        return Identified(title, image, identity, materials, pins, tuple(stale))

    def _fresh(self, held: Held, image: Image, materials: Materials) -> tuple[ImageLock | None, list[str]]:
        """The entry that fits, or the first with what moved since."""
        if not can_be_locked(image) or not held.entries:
            return None, []
        now = inputs(image, materials, self.recipe)
        found = [(entry, moved(entry, now, image.platforms)) for entry in held.entries]
        return next((one for one in found if not one[1]), found[0])

    @staticmethod
    def _require(items: Sequence[Identified], locks: Locks) -> None:
        """Refuse images that are not locked, all of them together."""
        problems = []
        for item in items:
            held = locks.by_title.get(item.title)
            if item.pins is not None or not can_be_locked(item.image):
                continue
            if item.stale and held is not None:
                problems.append(stale_lock(item.title, held, item.stale))
            elif held is None or held.exists:
                where = f"{held.path} does not have it" if held else "no lock file was looked for"
                problems.append(f"{item.title} is not locked: {where}")
            else:
                problems.append(f"{item.title} is not locked: there is no {held.path}")
        if problems:
            raise LockError("\n".join(problems), hint=RELOCK)

    def _named(self, name: str) -> str:
        if name not in self.named:
            known = ", ".join(sorted(self.named)) or "none"
            raise ConfigError(
                f"the configuration names no image {name!r} (it names: {known})",
                hint=f'add {name} = "registry/image:tag" under [tool.imagebuilder.images]',
            )
        return self.named[name]
