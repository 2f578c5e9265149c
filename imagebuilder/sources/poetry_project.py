"""A Poetry project: its `pyproject.toml` and `poetry.lock`, and the local packages that the lock names.

Staged: everything at its place relative to the rest, below the common ancestor; the lock stands beside the project.
"""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH100, PTH118, PTH120

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from imagebuilder.errors import SourceError
from imagebuilder.sources.published import refuse_credentials
from imagebuilder.sources.pyproject import dependency_names, for_dependencies, normal_name, table, tables
from imagebuilder.sources.toml_text import normalised, without_leading_comments
from imagebuilder.sources.tree import Tree
from imagebuilder.sources.user_file import read_toml
from imagebuilder.sources.uv_project import PYPROJECT, require_pyproject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.sources.material import Material
    from imagebuilder.sources.sources import Sources
    from imagebuilder.spec.layers import PoetryProject

LOCK = "poetry.lock"

# The arguments of `poetry install` that install other groups than the main one.
_WIDER = ("--with", "--all-groups", "--only")
_DEVELOP = re.compile(rb"^develop = true$", re.MULTILINE)
_CREDENTIALS = (
    "write the source's URL without credentials, and give "
    'secret_mounts=[Secret("...", as_env_var="POETRY_HTTP_BASIC_<SOURCE>_PASSWORD")] and the one for _USERNAME'
)


def read_poetry_project(layer: PoetryProject, sources: Sources) -> Material:
    """Read a Poetry project; `entry` is the project's folder.

    Raises:
        SourceError: a file is missing or cannot be read, or the lock does not know a dependency.
        SecretError: the URL of a source has credentials in it.
    """
    path = os.path.abspath(layer.pyproject_file)
    require_pyproject(path, "with_poetry_project")
    folder = os.path.dirname(path)
    relock = f"run `poetry lock` in {folder}"
    text, data = read_toml(path, f"correct the path in with_poetry_project({layer.pyproject_file!r})")
    lock_path = os.path.join(folder, LOCK) if layer.poetry_lock is None else os.path.abspath(layer.poetry_lock)
    lock_text, lock = read_toml(lock_path, relock)
    packages = tables(lock, "package")
    _check_fresh(_required(data), packages, path, lock_path, relock)

    install = layer.project_install_mode == "install_project"
    tree = Tree(sources)
    if install:
        tree.folder(folder, "")
    else:
        tree.hide(folder)
    staged = text.encode() if install else normalised(for_dependencies(data, "poetry"), text)
    # An image has no use for an editable install: the sources it points to are gone.
    staged_lock = _DEVELOP.sub(b"develop = false", without_leading_comments(lock_text))
    refuse_credentials(staged.decode(), text, path, _CREDENTIALS)
    refuse_credentials(staged_lock.decode(), lock_text, lock_path, _CREDENTIALS)
    tree.text(path, staged)
    tree.text(os.path.join(folder, LOCK), staged_lock)
    for package in packages:
        if _is_installed(package, layer.options.extra_args):
            _stage(package, folder, lock_path, tree, relock)
    return tree.material(folder)


def _required(data: dict[str, Any]) -> set[str]:
    """The names of the main dependencies, in either style."""
    names = dependency_names(data) or set()
    return names | {normal_name(name) for name in table(data, "tool", "poetry", "dependencies") if name != "python"}


def _check_fresh(required: set[str], packages: list[dict[str, Any]], path: str, lock_path: str, relock: str) -> None:
    missing = sorted(required - {normal_name(str(package.get("name"))) for package in packages})
    if missing:
        raise SourceError(f"{lock_path} is older than {path}: it does not know {missing[0]!r}", hint=relock)


def _is_installed(package: dict[str, Any], arguments: Sequence[str]) -> bool:
    """Whether the package is of the main group; locks before version 2.1 do not tell."""
    groups = package.get("groups")
    wider = any(argument.startswith(_WIDER) for argument in arguments)
    return wider or not isinstance(groups, list) or "main" in groups


def _stage(package: dict[str, Any], folder: str, lock_path: str, tree: Tree, relock: str) -> None:
    source = table(package, "source")
    url = source.get("url")
    if source.get("type") not in ("directory", "file") or not isinstance(url, str):
        return
    if url.startswith("/"):
        raise SourceError(
            f"{lock_path} has {package.get('name')!r} at {url}, a place that no image has",
            hint=f"write a relative path in {PYPROJECT}, and {relock}",
        )
    place = os.path.abspath(os.path.join(folder, url))
    if source["type"] == "file":
        tree.file(place, relock)
    elif place != folder:
        tree.folder(place, relock)
