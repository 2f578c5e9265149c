"""A layer of an image that installs Python packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.spec.base import ScriptBase
from imagebuilder.spec.titles import base_title, layer_title

if TYPE_CHECKING:
    from imagebuilder.sources.material import Material
    from imagebuilder.spec.layers import PythonLayer


@dataclass(frozen=True)
class PythonStep:
    """A layer, or a script as the base, with its material; `number` is the layer's, from 1, or 0 for the base."""

    number: int
    what: PythonLayer | ScriptBase
    material: Material | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        if isinstance(self.what, ScriptBase):
            return base_title(self.what)
        return f"layer {self.number}, {layer_title(self.what)}"
