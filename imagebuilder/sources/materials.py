"""What a whole image takes from the user's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagebuilder.sources.material import Material
    from imagebuilder.spec.python_version import PythonVersion


@dataclass(frozen=True)
class Materials:
    """The material of the base and of every layer, None where it has none.

    `python_version` is the Python of a script, given or decided by its metadata.
    """

    base: Material | None
    layers: tuple[Material | None, ...]
    python_version: PythonVersion | None = None

    @property
    def base_digest(self) -> str | None:
        """The digest of the base's material."""
        return self.base.digest if self.base else None

    @property
    def layer_digests(self) -> tuple[str | None, ...]:
        """The digest of each layer's material."""
        return tuple(material.digest if material else None for material in self.layers)
