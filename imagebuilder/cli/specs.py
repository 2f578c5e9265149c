"""Finds the images of Python files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from imagebuilder.cli.user_code import run_file
from imagebuilder.errors import SpecError
from imagebuilder.spec.base import NamedBase, ReferenceBase
from imagebuilder.spec.image import Image
from imagebuilder.spec.publication import DEFAULT_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Found:
    """An image by the variables that hold it, the first of which is its title."""

    title: str
    image: Image
    variables: tuple[str, ...]
    file: Path


def find_images(files: Sequence[Path], names: Sequence[str] = ()) -> list[Found]:
    """The images of files in the order in which they are defined; only those `names` name, where there are any.

    Raises:
        SpecError: a file is no spec or holds no image, or a name fits none.
    """
    found = [image for file in dict.fromkeys(files) for image in _images(file)]
    if names:
        for name in names:
            if not any(name in _names(image) for image in found):
                known = ", ".join(_shown(image) for image in found)
                raise SpecError(f"no image is named {name!r}; there is {known}", hint=f"write --name {found[0].title}")
        found = [image for image in found if not {*names}.isdisjoint(_names(image))]
    titles = [image.title for image in found]
    return [
        replace(image, title=f"{image.file}:{image.title}") if titles.count(image.title) > 1 else image
        for image in found
    ]


def find_one(file: Path, name: str | None) -> Found:
    """The one image of a file, or the one that has a name.

    Raises:
        SpecError: there are several, or none.
    """
    found = find_images([file])
    known = ", ".join(map(_shown, found))
    if name:
        found = [image for image in found if name in _names(image)] or _no_such(file, name, found)
    if len(found) > 1:
        raise SpecError(f"{file} holds several images: {known}", hint=f"say which: {file}:{found[0].title}")
    return found[0]


def _no_such(file: Path, name: str, found: Sequence[Found]) -> NoReturn:
    known = ", ".join(map(_shown, found))
    raise SpecError(f"{file} has no image named {name!r}; there is {known}", hint=f"write {file}:{found[0].title}")


def published_at(
    found: Sequence[Found], registry: str | None = None, platform: Sequence[str] = ()
) -> list[tuple[str, Image]]:
    """The images with the registry and the platforms of flags, which go before the spec's."""
    images = []
    for item in found:
        image = item.image
        if registry is not None and (image.layers or not isinstance(image.base, ReferenceBase)):
            image = image.clone(registry=registry)
        if platform:
            image = image.clone(platform=list(platform))
        images.append((item.title, image))
    return images


def is_plain(image: Image) -> bool:
    """Whether it adds nothing to an image that is there, and so is published under that one's name."""
    return isinstance(image.base, (ReferenceBase, NamedBase)) and not image.layers


def image_name(image: Image) -> str | None:
    """The name it is published under; None where it adds nothing to its base."""
    return None if is_plain(image) else image.name or DEFAULT_NAME


def is_spec(text: str) -> bool:
    """Whether an argument that may also be an image reference is a Python file."""
    return text.endswith(".py") and (Path(text).is_file() or ":" not in text)


def _images(file: Path) -> list[Found]:
    if not file.exists():
        path, _, name = str(file).rpartition(":")
        hint = f"write {path} --name {name}" if path.endswith(".py") else "give the Python file that holds your images"
        raise SpecError(f"{file} does not exist", hint=hint)
    if file.is_dir():
        raise SpecError(f"{file} is a folder, not a Python file", hint=f"write imagebuild build {file / 'spec.py'}")
    if file.suffix != ".py":
        raise SpecError(f"{file} is not a Python file", hint="a spec is a .py file with images as its variables")
    found: dict[int, Found] = {}
    for variable, image in run_file(file, _in_module):
        known = found.get(id(image))
        if known is None:
            found[id(image)] = Found(variable, image, (variable,), file)
        else:
            found[id(image)] = replace(known, variables=(*known.variables, variable))
    if not found:
        raise SpecError(
            f"{file} holds no image",
            hint="assign one to a variable of the module: image = Image.from_debian_base(name=...); "
            'neither names that start with _ are looked at, nor what stands under `if __name__ == "__main__"`',
        )
    return list(found.values())


def _in_module(module: ModuleType) -> list[tuple[str, Image]]:
    found = []
    variables: Mapping[str, object] = vars(module)
    for name, value in list(variables.items()):
        if name.startswith("_") or isinstance(value, (ModuleType, type)):
            continue
        if isinstance(value, Image):
            found.append((name, value))
            continue
        try:
            held = getattr(value, "image", None)
        except Exception:  # noqa: BLE001, S112 - an attribute that cannot be had is no image
            continue
        if isinstance(held, Image):
            found.append((name, held))
    return found


def _names(found: Found) -> set[str]:
    return {*found.variables, *([found.image.name] if found.image.name else [])}


def _shown(found: Found) -> str:
    name = found.image.name
    return found.title if name in (None, found.title) else f"{found.title} ({name})"
