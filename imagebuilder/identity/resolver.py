"""Identifies the images of a project: resolves what its configuration names, reads what its specs name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.errors import ConfigError
from imagebuilder.identity.identified import Identified
from imagebuilder.identity.identifier import identify
from imagebuilder.sources.read import read_materials
from imagebuilder.spec.base import NamedBase, ReferenceBase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from imagebuilder.identity.recipe import Recipe
    from imagebuilder.sources import Sources
    from imagebuilder.spec.image import Image


@dataclass(frozen=True)
class Resolver:
    """`sources` makes a reader of the user's files for one call; `named` are the configuration's images."""

    recipe: Recipe
    sources: Callable[[], Sources]
    named: Mapping[str, str] = field(default_factory=dict)
    registry: str | None = None

    def identify(self, images: Sequence[tuple[str, Image]]) -> list[Identified]:
        """Identify titled images, reading each folder once however many share it.

        Raises:
            InputError: a spec, or a file it names, cannot be part of an image.
        """
        with self.sources() as sources:
            return [self._identify(title, self.resolve(image), sources) for title, image in images]

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
        return Identified(title, image, identify(image, materials, self.recipe), materials)

    def _named(self, name: str) -> str:
        if name not in self.named:
            known = ", ".join(sorted(self.named)) or "none"
            raise ConfigError(
                f"the configuration names no image {name!r} (it names: {known})",
                hint=f'add {name} = "registry/image:tag" under [tool.imagebuilder.images]',
            )
        return self.named[name]
