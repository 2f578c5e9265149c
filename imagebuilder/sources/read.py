"""Reads what a spec names of the user's files: the one place that knows which layers name some."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from imagebuilder.errors import SecretError, SourceError, SpecError
from imagebuilder.sources.dockerfile import read_dockerfile
from imagebuilder.sources.materials import Materials
from imagebuilder.sources.poetry_project import read_poetry_project
from imagebuilder.sources.pylock import read_pylock
from imagebuilder.sources.requirements import read_requirements
from imagebuilder.sources.script_project import PythonFor, read_script
from imagebuilder.sources.source_files import read_source_file, read_source_folder
from imagebuilder.sources.uv_project import read_uv_project
from imagebuilder.sources.wheels import read_wheels
from imagebuilder.spec.base import Base, DockerfileBase, ScriptBase
from imagebuilder.spec.layers import (
    Layer,
    PoetryProject,
    PyLock,
    Requirements,
    SourceFile,
    SourceFolder,
    UvProject,
    Wheels,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.sources.material import Material
    from imagebuilder.sources.sources import Sources
    from imagebuilder.spec.image import Image
    from imagebuilder.spec.python_version import PythonVersion


def read_materials(image: Image, sources: Sources, python_for: PythonFor) -> Materials:
    """Read the files of the base and of every layer.

    `python_for` chooses the Python of a script from its `requires-python` and its name.

    Raises:
        SourceError: a file is missing, cannot be read, or cannot be part of an image.
        SecretError: a file holds credentials that would be published.
        SpecError: a file does not mean what the spec says.
    """
    base, version = _base(image.base, sources, python_for)
    return Materials(base, tuple(_layer(layer, image, sources) for layer in image.layers), version)


def _base(base: Base, sources: Sources, python_for: PythonFor) -> tuple[Material | None, PythonVersion | None]:
    match base:
        case ScriptBase(script):
            with _named(f"from_uv_script({script!r})"):
                return read_script(base, sources, python_for)
        case DockerfileBase(file):
            with _named(f"from_dockerfile({file!r})"):
                return read_dockerfile(base, sources), None
        case _:
            return None, None


def _layer(layer: Layer, image: Image, sources: Sources) -> Material | None:  # noqa: PLR0911 - one per layer
    match layer:
        case SourceFolder(src):
            with _named(f"with_source_folder({src!r})"):
                return read_source_folder(layer, image.ignore_files, sources)
        case SourceFile(src):
            with _named(f"with_source_file({src!r})"):
                return read_source_file(layer, sources)
        case Requirements(file):
            with _named(f"with_requirements({file!r})"):
                return read_requirements(layer, sources)
        case UvProject(file):
            with _named(f"with_uv_project({file!r})"):
                return read_uv_project(layer, sources)
        case PyLock(file):
            with _named(f"with_pylock({file!r})"):
                return read_pylock(layer, sources)
        case PoetryProject(file):
            with _named(f"with_poetry_project({file!r})"):
                return read_poetry_project(layer, sources)
        case Wheels(paths):
            with _named(f"with_wheels({', '.join(map(repr, paths))})"):
                return read_wheels(layer, sources)
        case _:
            return None


@contextlib.contextmanager
def _named(call: str) -> Iterator[None]:
    """Let every message begin with the call that named the file."""
    try:
        yield
    except (SourceError, SecretError, SpecError) as error:
        raise type(error)(f"{call}: {error.message}", hint=error.hint) from error
