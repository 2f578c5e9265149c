"""Which task SDK an image has, and for which Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from imagebuilder.plan.ops import Copy
from imagebuilder.sources.material import Material
from imagebuilder.spec.base import DebianBase
from imagebuilder.spec.layers import Sdk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imagebuilder.plan.ops import Step
    from imagebuilder.sources.material import Piece
    from imagebuilder.sources.materials import Materials
    from imagebuilder.spec.image import Image
    from imagebuilder.spec.python_version import PythonVersion


class SdkFor(NamedTuple):
    """A version of the SDK, and the Python that runs it.

    `bytecode` is the full version of the Python that compiles it; empty for none, None for any that is at hand.
    `digest` is that of `pinned_digest`, empty where any release of the version will do.
    """

    version: str
    python: PythonVersion
    bytecode: str | None = None
    digest: str = ""


def is_sdk(step: Step) -> bool:
    """Whether a step lays the SDK."""
    return isinstance(step.op, Copy) and step.op.sdk


def sdk_of(image: Image, materials: Materials) -> SdkFor | None:
    """The SDK that an image asks for; None for none."""
    base = image.base
    if isinstance(base, DebianBase) and base.sdk is not None:
        return SdkFor(base.sdk, base.python_version)
    layer = next((layer for layer in image.layers if isinstance(layer, Sdk)), None)
    if layer is None:
        return None
    python = layer.python_version or materials.python_version
    if python is None and isinstance(base, DebianBase):
        python = base.python_version
    assert python is not None, "with_sdk() asks for it where nothing else says it"
    return SdkFor(layer.version, python)


def pinned_digest(pieces: Iterable[tuple[str, Piece]]) -> str:
    """What a lock has of the SDK: the digest of all its files but bytecode, which its interpreter decides."""
    return f"sha256:{Material(tuple((at, piece) for at, piece in pieces if not at.endswith('.pyc'))).digest}"
