"""From a Python `Image` spec to a pushed, verified container image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagebuilder.api import build, build_async, identify, rebase
    from imagebuilder.errors import ImageBuilderError
    from imagebuilder.spec.image import Image
    from imagebuilder.spec.secret import Secret

__version__ = "0.1.0"
__all__ = ["Image", "ImageBuilderError", "Secret", "build", "build_async", "identify", "rebase"]


_HOMES = {
    "Image": "imagebuilder.spec.image",
    "ImageBuilderError": "imagebuilder.errors",
    "Secret": "imagebuilder.spec.secret",
    "build": "imagebuilder.api",
    "build_async": "imagebuilder.api",
    "identify": "imagebuilder.api",
    "rebase": "imagebuilder.api",
}


def __getattr__(name: str) -> object:
    """Load a name from its module when it is first used: building stays out of a spec, and a spec out of a secret."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'imagebuilder' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
