"""Files and folders that an image copies as they are.

Staged: what is in the folder, or the file under the name that it has in the image.
"""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH100, PTH112, PTH113, PTH119

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imagebuilder.sources.material import Material
from imagebuilder.sources.user_file import read_original, require_file, require_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.sources.sources import Sources
    from imagebuilder.spec.layers import SourceFile, SourceFolder


def read_source_folder(layer: SourceFolder, ignore_files: Sequence[str], sources: Sources) -> Material:
    """Read a folder, less the defaults, its `.dockerignore`, the given ignore files and the layer's patterns, in order.

    Raises:
        SourceError: it is missing, or holds what cannot be part of an image.
    """
    path = os.path.abspath(layer.src)
    hint = f"correct the path in with_source_folder({layer.src!r})"
    if os.path.isfile(path):
        hint = f"write with_source_file({layer.src!r})"
    require_folder(path, hint)
    patterns: list[str] = []
    for file in ignore_files:
        require_file(os.path.abspath(file), f"correct the path in with_dockerignore({file!r})")
        patterns += sources.ignore_file(file)
    return Material((("", sources.snapshot(path, (*patterns, *layer.ignore))),))


def read_source_file(layer: SourceFile, sources: Sources) -> Material:
    """Read a file; `entry` is its name in the image.

    Raises:
        SourceError: it is missing, or no regular file.
    """
    path = os.path.abspath(layer.src)
    hint = f"correct the path in with_source_file({layer.src!r})"
    if os.path.isdir(path):
        hint = f"write with_source_folder({layer.src!r})"
    name = layer.name or os.path.basename(path)
    return Material(((name, read_original(sources, path, hint, mode_counts=True)),), name)
