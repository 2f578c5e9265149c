"""From a Python `Image` spec to a pushed, verified container image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.spec.image import Image
from imagebuilder.spec.secret import Secret

if TYPE_CHECKING:
    from imagebuilder.api import build, build_async, identify
    from imagebuilder.errors import ImageBuilderError

__version__ = "0.1.0"
__all__ = ["Image", "ImageBuilderError", "Secret", "build", "build_async", "identify"]


def __getattr__(name: str) -> object:
    """Load what building needs when it is first used: writing a spec stays light."""
    from importlib import import_module

    if name in ("build", "build_async", "identify"):
        return getattr(import_module("imagebuilder.api"), name)
    if name == "ImageBuilderError":
        return import_module("imagebuilder.errors").ImageBuilderError
    raise AttributeError(f"module 'imagebuilder' has no attribute {name!r}")
