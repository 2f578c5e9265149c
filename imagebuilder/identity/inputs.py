"""What of a spec decides its lock, and what of it moved since."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from imagebuilder.identity.canonical import canonical_reference
from imagebuilder.identity.encode import encode
from imagebuilder.identity.explain import package_changes
from imagebuilder.lock.pins import FORM, Input
from imagebuilder.sources.material import Text
from imagebuilder.sources.pyproject import table
from imagebuilder.sources.snapshot import Snapshot
from imagebuilder.spec.base import DebianBase, DockerfileBase, ReferenceBase, ScriptBase
from imagebuilder.spec.credential import mask
from imagebuilder.spec.layers import PipPackages, PythonLayer, Requirements, Sdk, UvProject
from imagebuilder.spec.script import load_toml
from imagebuilder.spec.titles import base_title, layer_title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imagebuilder.identity.recipe import Recipe
    from imagebuilder.lock.pins import ImageLock
    from imagebuilder.sources.material import Material
    from imagebuilder.sources.materials import Materials
    from imagebuilder.spec.image import Image
    from imagebuilder.spec.platform import Platform


def can_be_locked(image: Image) -> bool:
    """Whether a lock has something to say: a Dockerfile names its own bases, and a base alone is nothing we make."""
    if isinstance(image.base, DockerfileBase):
        return False
    return bool(image.layers) or not isinstance(image.base, ReferenceBase)


def base_of(image: Image, materials: Materials, recipe: Recipe) -> str:
    """The reference of an image's base, in full."""
    match image.base:
        case ReferenceBase(text):
            return canonical_reference(text)
        case DebianBase(version):
            return canonical_reference(recipe.debian_base(version))
        case ScriptBase():
            assert materials.python_version is not None
            return canonical_reference(recipe.debian_base(materials.python_version))
        case _:
            raise TypeError(f"{image.base!r} is not locked")


def inputs(image: Image, materials: Materials, recipe: Recipe) -> tuple[Input, ...]:
    """The base, the task SDK where there is one, then each Python layer.

    The sources of a project whose packages its own lock decides do not count.
    """
    parts: list[object] = [base_of(image, materials, recipe)]
    requires: tuple[str, ...] = ()
    if isinstance(image.base, ScriptBase):
        parts += [image.base.options, materials.base_digest]
        requires = tuple(_dependencies(materials.base))
    found = [Input(base_title(image.base), _digest(*parts), requires), *_sdk(image)]
    for number, (layer, material) in enumerate(zip(image.layers, materials.layers, strict=True), start=1):
        if isinstance(layer, PythonLayer):
            digest = _digest(layer, _without_sources(layer, material))
            found.append(Input(layer_title(layer), digest, tuple(_requires(layer, material)), number))
    return tuple(found)


def _sdk(image: Image) -> Iterator[Input]:
    if isinstance(image.base, DebianBase) and image.base.sdk is not None:
        yield Input(f"task SDK {image.base.sdk}", _digest("sdk", image.base.sdk))
    for layer in image.layers:
        if isinstance(layer, Sdk):
            yield Input(f"task SDK {layer.version}", _digest("sdk", layer))


def steps_of(image: Image) -> int:
    """How many of an image's parts install Python packages."""
    return isinstance(image.base, ScriptBase) + sum(isinstance(layer, PythonLayer) for layer in image.layers)


def moved(entry: ImageLock, now: Sequence[Input], platforms: Sequence[Platform]) -> list[str]:
    """Say line by line what a spec has otherwise than its lock; nothing where the lock is fresh."""
    lines = []
    if entry.form != FORM:
        lines.append(f"the form of assembled images: it was {entry.form}, and this version of imagebuilder has {FORM}")
    if entry.inputs[0].digest != now[0].digest:
        lines.append(_changed(entry.inputs[0], now[0]))
    before, after = list(entry.inputs[1:]), list(now[1:])
    for old, new in _pairs(before, after):
        if old is None and new is not None:
            lines.append(f"{new}: added")
        elif new is None and old is not None:
            lines.append(f"{old.title}: removed")
        elif old is not None and new is not None and old.digest != new.digest:
            lines.append(_changed(old, new))
    if not lines and before != after and [one.digest for one in before] != [one.digest for one in after]:
        lines.append("the order of its Python layers changed")
    lines += [f"platform {name}: not in the lock" for name in entry.lacks(platforms)]
    return lines


def _pairs(before: list[Input], after: list[Input]) -> Iterator[tuple[Input | None, Input | None]]:
    """What became of each layer: those that are still there are left out, the rest are paired in their order."""
    kept = {one.digest for one in before} & {one.digest for one in after}
    old = [one for one in before if one.digest not in kept]
    new = [one for one in after if one.digest not in kept]
    for number in range(max(len(old), len(new))):
        yield old[number] if number < len(old) else None, new[number] if number < len(new) else None


def _changed(old: Input, new: Input) -> str:
    changes = package_changes(old.requires, new.requires)
    if changes:
        return f"{new}: {', '.join(changes)}"
    return f"{new}: {'its files or options changed' if old.title == new.title else f'it was {old.title}'}"


def _requires(layer: PythonLayer, material: Material | None) -> Iterator[str]:
    match layer:
        case PipPackages(packages):
            yield from map(mask, packages)
        case Requirements():
            for _, text in _texts(material):
                yield from (mask(line) for line in text.splitlines() if line and not line.startswith(("-", "#")))
        case UvProject():
            yield from _dependencies(material)
        case _:
            pass


def _dependencies(material: Material | None) -> Iterator[str]:
    entry = material.entry if material else ""
    for at, text in _texts(material):
        if at == f"{entry}/pyproject.toml".lstrip("/"):
            named = table(load_toml(text, at), "project").get("dependencies", [])
            yield from (mask(item) for item in named if isinstance(item, str))


def _texts(material: Material | None) -> Iterator[tuple[str, str]]:
    for at, piece in material.pieces if material else ():
        if isinstance(piece, Text):
            yield at, piece.data.decode(errors="replace")


def _without_sources(layer: PythonLayer, material: Material | None) -> object:
    if material is None or not isinstance(layer, UvProject):
        return material.digest if material else None
    return [(at, piece.digest) for at, piece in material.pieces if not isinstance(piece, Snapshot)]


def _digest(*parts: object) -> str:
    return hashlib.sha256(encode(("lock input 1", *parts))).hexdigest()
