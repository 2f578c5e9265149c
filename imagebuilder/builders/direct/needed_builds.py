"""Wheels of packages that only a build tells the needs of, while an image is locked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.packages import LockedFile, LockedPackage
    from imagebuilder.spec.credential import Index


@dataclass(frozen=True)
class NeededBuilds:
    """Builds on the image's base first, since that is at hand.

    What does not build there, for want of a compiler or a library, is built on the layers before the package's own:
    `below` makes these, None where nothing of them runs. `wheels` builds on a base.
    """

    base: Base
    wheels: Callable[[Base, Sequence[LockedPackage], Iterable[Index]], list[LockedFile]]
    below: Callable[[int], Base | None]
    found: dict[int, Base] = field(default_factory=dict)

    def __call__(self, packages: Sequence[LockedPackage], logins: Iterable[Index]) -> list[LockedFile]:
        """A wheel of each package.

        Raises:
            ImageBuilderError: as `Sdists.wheels`, or the layers before cannot be built.
        """
        logins, layer = tuple(logins), max(package.layer for package in packages)
        if layer in self.found:
            return self.wheels(self.found[layer], packages, logins)
        try:
            return self.wheels(self.base, packages, logins)
        except BuildError:
            below = self.below(layer)
            if below is None:
                raise
            self.found[layer] = below
        return self.wheels(below, packages, logins)
