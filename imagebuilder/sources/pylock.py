"""A lock file of PEP 751.

Staged: `pylock.toml`, without what means nothing; the projects and distributions it names by path as `local-N`.
"""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH100, PTH110, PTH112, PTH118, PTH120

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from imagebuilder.errors import SourceError
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.published import refuse_credentials
from imagebuilder.sources.pyproject import table, tables
from imagebuilder.sources.toml_text import normalised
from imagebuilder.sources.tree import Locals, is_project
from imagebuilder.sources.user_file import read_toml

if TYPE_CHECKING:
    from imagebuilder.sources.sources import Sources
    from imagebuilder.spec.layers import PyLock

ENTRY = "pylock.toml"
_RELOCK = "lock again, such as `uv export -o pylock.toml`"


def read_pylock(layer: PyLock, sources: Sources) -> Material:
    """Read a lock file; `entry` is `pylock.toml`.

    Raises:
        SourceError: it cannot be read, has another version than 1, or names a file that is missing.
        SecretError: a URL has credentials in it.
    """
    path = os.path.abspath(layer.file)
    text, data = read_toml(path, f"correct the path in with_pylock({layer.file!r}), or {_RELOCK}")
    version = data.get("lock-version")
    if not isinstance(version, str) or version.split(".")[0] != "1":
        raise SourceError(f"{path} has lock-version = {version!r}, and only 1.x is understood", hint=_RELOCK)
    local = Locals(sources)
    for package in tables(data, "packages"):
        _place(package, path, local)
    staged = normalised(data, text)
    hint = "remove them from the lock, and give the index as index_url=..., whose credentials are never published"
    refuse_credentials(staged.decode(), text, path, hint)
    return Material(((ENTRY, Text(staged)), *local.pieces), ENTRY)


def _place(package: dict[str, Any], path: str, local: Locals) -> None:
    """Rewrite the paths of a package to the places where its files are staged."""
    where = f"{path}, package {package.get('name')!r}"
    for owner in (package, *tables(package, "wheels")):
        names = ("directory", "archive", "sdist", "vcs") if owner is package else ("",)
        for name in names:
            source = owner.get(name) if name else owner
            if isinstance(source, dict) and isinstance(source.get("path"), str) and name != "vcs":
                _place_one(source, where, os.path.dirname(path), local)
            elif isinstance(source, dict) and ("path" in source or str(source.get("url")).startswith("file:")):
                raise SourceError(
                    f"{where}: {source.get('path') or source['url']} is a place that no image has", hint=_RELOCK
                )
    if table(package, "directory"):
        # An image has no use for an editable install: the sources it points to are gone.
        package["directory"].pop("editable", None)


def _place_one(source: dict[str, Any], where: str, folder: str, local: Locals) -> None:
    place = os.path.abspath(os.path.join(folder, source["path"]))
    if not os.path.exists(place):
        if "url" in source:
            del source["path"]  # PEP 751: either may be used
            return
        raise SourceError(f"{where}: {place} does not exist", hint=_RELOCK)
    inside = os.path.join(place, str(source.get("subdirectory", "")))
    if os.path.isdir(place) and not is_project(inside):
        raise SourceError(
            f"{where}: {inside} is not a Python project: it has no pyproject.toml or setup.py", hint=_RELOCK
        )
    source["path"] = local.place("local", place, _RELOCK)
