"""Files and folders that keep their places relative to each other."""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH112, PTH113, PTH118, PTH119

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError
from imagebuilder.sources.material import Material, Piece, Text
from imagebuilder.sources.pyproject import outside_source
from imagebuilder.sources.user_file import read_original, read_toml, require_folder

if TYPE_CHECKING:
    from imagebuilder.sources.sources import Sources

# What setuptools leaves beside the sources of a project; the build makes it anew.
PROJECT_PATTERNS = ("**/*.egg-info",)


class Tree:
    """Pieces by absolute path; `material` puts them below their common ancestor.

    A piece inside a folder replaces what the folder has there.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._files: dict[str, Piece] = {}
        self._folders: set[str] = set()
        self._hidden: set[str] = set()

    def text(self, path: str, data: bytes) -> None:
        """Place derived bytes where a file of the user's stands."""
        self._files[path] = Text(data)

    def file(self, path: str, hint: str) -> None:
        """Place a file as it stands.

        Raises:
            SourceError: there is none.
        """
        self._files.setdefault(path, read_original(self._sources, path, hint))

    def folder(self, path: str, hint: str) -> None:
        """Place what is in a project's folder, less the default patterns and its `.dockerignore`.

        Raises:
            SourceError: there is none.
        """
        require_folder(path, hint)
        self._folders.add(path)

    def hide(self, path: str) -> None:
        """Leave a path out of every folder around it."""
        self._hidden.add(path)

    def material(self, entry: str) -> Material:
        """Put everything together; `entry` is the absolute path of the folder that a step acts on."""
        root = os.path.commonpath([entry, *self._folders, *map(os.path.dirname, self._files)])
        pieces = [(_relative(path, root), piece) for path, piece in self._files.items()]
        for folder in self._folders:
            others = self._files.keys() | self._folders | self._hidden
            inside = sorted(other for other in others if other.startswith(f"{folder.rstrip('/')}/"))
            patterns = (*PROJECT_PATTERNS, *(literally(_relative(path, folder)) for path in inside))
            pieces.append((_relative(folder, root), self._sources.snapshot(folder, patterns)))
        return Material(tuple(pieces), _relative(entry, root))


class Locals:
    """Projects and files from anywhere on this machine, named by the order in which they are asked for."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._places: dict[tuple[str, str], str] = {}
        self.pieces: list[tuple[str, Piece]] = []

    def project(self, path: str, hint: str) -> str:
        """Place a distribution, or the folder of a project that is resolved where it is staged; its place.

        Raises:
            SourceError: there is none, or the project takes a dependency from outside its folder.
        """
        if os.path.isfile(pyproject := os.path.join(path, "pyproject.toml")):
            _, data = read_toml(pyproject, hint)
            if outside := outside_source(data):
                raise SourceError(
                    f"{pyproject} takes {outside!r} from outside its folder by [tool.uv.sources]",
                    hint="lock the project with `uv lock` and use with_uv_project(...), which follows such sources",
                )
        return self.place("local", path, hint)

    def place(self, prefix: str, path: str, hint: str) -> str:
        """Place a folder as `prefix-N`, or a file in such a folder under its own name; its place.

        Raises:
            SourceError: there is none.
        """
        if (prefix, path) in self._places:
            return self._places[prefix, path]
        name = f"{prefix}-{sum(known == prefix for known, _ in self._places) + 1}"
        if os.path.isdir(path):
            self.pieces.append((name, self._sources.snapshot(path, PROJECT_PATTERNS if is_project(path) else ())))
        else:
            original = read_original(self._sources, path, hint)
            name = f"{name}/{os.path.basename(path)}"
            self.pieces.append((name, original))
        self._places[prefix, path] = name
        return name


def is_project(folder: str) -> bool:
    """Whether a folder can be installed."""
    return any(os.path.isfile(os.path.join(folder, name)) for name in ("pyproject.toml", "setup.py"))


def _relative(path: str, root: str) -> str:
    relative = os.path.relpath(path, root)
    return "" if relative == "." else relative


def literally(path: str) -> str:
    """A `.dockerignore` pattern that matches this path alone."""
    return "/" + re.sub(r"[*?\[\]\\]", r"\\\g<0>", path)
