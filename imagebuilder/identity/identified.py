"""An image with everything that is known about it before anybody is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.spec.base import ReferenceBase
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from imagebuilder.identity.identifier import Identity
    from imagebuilder.lock.pins import Pins
    from imagebuilder.sources.materials import Materials
    from imagebuilder.spec.image import Image


@dataclass(frozen=True)
class Identified:
    """`title` is what people call it: the variable of the spec, or the image's name.

    `pins` are what its lock fixes; `stale` says what the lock has otherwise, where it is not used for that.
    """

    title: str
    image: Image
    identity: Identity
    materials: Materials = field(repr=False)
    pins: Pins | None = field(default=None, repr=False)
    stale: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """Where it is published."""
        if self.is_plain_base and self.base_reference is not None:
            return self.base_reference
        return self.image.reference_for(self.identity.identifier)

    @property
    def reference(self) -> Reference:
        """The `uri`, parsed."""
        return Reference.parse(self.uri)

    @property
    def base_reference(self) -> str | None:
        """The base image of the spec, where it names one itself."""
        return self.image.base.reference if isinstance(self.image.base, ReferenceBase) else None

    @property
    def is_plain_base(self) -> bool:
        """Whether it adds nothing to its base, so that there is nothing to build."""
        return isinstance(self.image.base, ReferenceBase) and not self.image.layers
