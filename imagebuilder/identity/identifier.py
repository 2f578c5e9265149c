"""The identifier of an image: the content address of what its spec means."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.identity.canonical import canonical_layer, canonical_reference, workdir_after
from imagebuilder.identity.encode import encode
from imagebuilder.spec.base import Base, DebianBase, DockerfileBase, NamedBase, ReferenceBase, ScriptBase

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imagebuilder.identity.recipe import Recipe
    from imagebuilder.sources.materials import Materials
    from imagebuilder.spec.image import Image

_VERSION = "imagebuilder identity 1"
_BYTES = 20  # 160 bits: 32 characters of base32, all of them allowed in a tag


@dataclass(frozen=True)
class Identity:
    """The identifier, and the digest of each part it was made from: the base, then every layer.

    `lock` is the digest of what its lock pins, None where it has none.
    """

    identifier: str
    epoch: int
    parts: tuple[str, ...]
    lock: str | None = None


def identify(image: Image, materials: Materials, recipe: Recipe, lock: str | None = None) -> Identity:
    """Identify an image; a pure function of what the spec means, what its files hold, the epoch, and its lock.

    Neither the name, the registry, credentials, nor where files are on this machine count.
    """
    workdir = recipe.workdir if isinstance(image.base, (DebianBase, ScriptBase)) else None
    parts = [_digest("base", _base(image.base, materials, recipe), materials.base_digest)]
    for layer, digest in zip(image.layers, materials.layer_digests, strict=True):
        canonical = canonical_layer(layer, workdir)
        workdir = workdir_after(canonical, workdir)
        parts.append(_digest("layer", canonical, digest))
    text = identifier_of(recipe.epoch, map(str, image.platforms), parts, lock)
    return Identity(text, recipe.epoch, tuple(parts), lock)


def identifier_of(epoch: int, platforms: Iterable[str], parts: Sequence[str], lock: str | None = None) -> str:
    """The identifier that the digests of an image's parts, and of its lock, make."""
    whole = encode((_VERSION, epoch, sorted(platforms), parts, *(() if lock is None else (lock,))))
    return base64.b32encode(hashlib.sha256(whole).digest()[:_BYTES]).decode().lower()


def reference_part(reference: str) -> str:
    """The digest of the part that is a base named by its reference."""
    return _digest("base", (ReferenceBase.kind, canonical_reference(reference)), None)


def _digest(role: str, value: object, material: str | None) -> str:
    return hashlib.sha256(encode((role, value, material))).hexdigest()


def _base(base: Base, materials: Materials, recipe: Recipe) -> object:
    match base:
        case DebianBase(version, sdk):
            return (base.kind, recipe.debian_base(version), *([] if sdk is None else [("sdk", sdk)]))
        case ScriptBase():
            assert materials.python_version is not None
            return (base.kind, recipe.debian_base(materials.python_version), base.options)
        case ReferenceBase(text):
            return (base.kind, canonical_reference(text))
        case DockerfileBase():
            return (base.kind,)
        case NamedBase():
            raise TypeError(f"{base!r} is not resolved")
