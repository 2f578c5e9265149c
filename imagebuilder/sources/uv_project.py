"""A uv project: its `pyproject.toml` and `uv.lock`, and the sources of every local package that is really built.

Staged: everything at its place relative to the rest, below the common ancestor; the lock stands at the workspace's
root whatever it is called.
"""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH100, PTH112, PTH113, PTH118, PTH119, PTH120

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError
from imagebuilder.sources.published import refuse_credentials
from imagebuilder.sources.pyproject import dependency_names, for_dependencies, normal_name, table
from imagebuilder.sources.toml_text import normalised, without_leading_comments
from imagebuilder.sources.tree import Tree
from imagebuilder.sources.user_file import read_toml
from imagebuilder.sources.uv_lock import LockedPackage, UvLock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.sources.material import Material
    from imagebuilder.sources.sources import Sources
    from imagebuilder.spec.layers import UvProject

PYPROJECT = "pyproject.toml"
LOCK = "uv.lock"
SETTINGS = "uv.toml"

# The arguments of `uv sync` that install more than the project's own dependencies, or other projects' too.
_WIDER = ("--extra", "--all-extras", "--group", "--all-groups", "--only-group", "--dev", "--only-dev")
_OTHERS = ("--all-packages", "--package")
_CREDENTIALS = (
    'name the index, [[tool.uv.index]] with name = "private" and a URL without credentials, and give the password as '
    'secret_mounts=[Secret("...", as_env_var="UV_INDEX_PRIVATE_PASSWORD")]'
)


def read_uv_project(layer: UvProject, sources: Sources) -> Material:
    """Read a uv project; `entry` is the project's folder.

    Raises:
        SourceError: a file is missing or cannot be read, or the lock does not fit the project.
        SecretError: an index URL has credentials in it.
    """
    path = os.path.abspath(layer.pyproject_file)
    require_pyproject(path, "with_uv_project")
    folder = os.path.dirname(path)
    _, data = read_toml(path, 'correct the path in with_uv_project("pyproject.toml"), or run `uv init`')
    lock = _find_lock(layer, folder)
    project = lock.project_at(folder)
    if project is None and (folder != lock.root or "project" in data):
        name = table(data, "project").get("name", folder)
        raise SourceError(f"{lock.path} does not have the project {name!r}", hint=f"run `uv lock` in {folder}")
    reading = _Reading(lock, Tree(sources))
    install = layer.project_install_mode == "install_project"
    if install and project is not None and project.kind == "virtual":
        raise SourceError(
            f"{path} has no [build-system], so uv would install nothing of the project itself",
            hint="add one, `uv init --package` shows how, or copy its code with with_source_folder(...)",
        )
    reading.stage(folder, project, install=install, arguments=layer.options.extra_args)
    return reading.tree.material(folder)


def require_pyproject(path: str, call: str) -> None:
    """Refuse another name than the one that tools look for."""
    if os.path.isdir(path) or os.path.basename(path) != PYPROJECT:
        inside = (
            os.path.join(path, PYPROJECT) if os.path.isdir(path) else os.path.join(os.path.dirname(path), PYPROJECT)
        )
        raise SourceError(f"{path} is not a {PYPROJECT}", hint=f"write {call}({inside!r})")


def _find_lock(layer: UvProject, folder: str) -> UvLock:
    if layer.uvlock is not None:
        path = os.path.abspath(layer.uvlock)
        above = os.path.dirname(path)
        is_in_place = os.path.basename(path) == LOCK and f"{folder}/".startswith(f"{above.rstrip('/')}/")
        return UvLock(path, above if is_in_place else _workspace_root(folder))
    for root in _upwards(folder):
        if os.path.lexists(path := os.path.join(root, LOCK)):
            return UvLock(path, root)
    raise SourceError(
        f"{os.path.join(folder, LOCK)} does not exist, nor a {LOCK} in a folder above",
        hint=f'run `uv lock` in {folder}, or name the lock, with_uv_project("pyproject.toml", "locks/uv.lock")',
    )


def _workspace_root(folder: str) -> str:
    """The nearest folder whose project is a workspace, else the folder itself."""
    for root in _upwards(folder):
        path = os.path.join(root, PYPROJECT)
        if os.path.isfile(path) and table(read_toml(path, "")[1], "tool", "uv", "workspace"):
            return root
    return folder


def _upwards(folder: str) -> Sequence[str]:
    found = [folder]
    while (above := os.path.dirname(found[-1])) != found[-1]:
        found.append(above)
    return found


class _Reading:
    """One workspace being put together."""

    def __init__(self, lock: UvLock, tree: Tree) -> None:
        self.lock = lock
        self.tree = tree
        self.hint = f"run `uv lock` in {lock.root}"

    def stage(self, folder: str, project: LockedPackage | None, *, install: bool, arguments: Sequence[str]) -> None:
        lock = self.lock
        members = lock.members()
        wider = any(argument.startswith((*_WIDER, *_OTHERS)) for argument in arguments)
        # A root without a project of its own installs all members.
        roots = [project] if project else []
        if project is None or any(argument.startswith(_OTHERS) for argument in arguments):
            roots += [member for member in members if member is not project]
        built = [*roots, *(one for one in lock.reached(roots, everything=wider) if one not in roots)]
        if project is not None and not install:
            built = [one for one in built if one is not project]
        for package in built:
            self._build(package)
        places = {package.place for package in built if package.kind != "virtual"}
        for place in {folder, lock.root, *(member.place or "" for member in members)}:
            self._pyproject(place, whole=place in places)
        if folder not in places:
            self.tree.hide(folder)
        staged = without_leading_comments(lock.text)
        refuse_credentials(staged.decode(), lock.text, lock.path, _CREDENTIALS)
        self.tree.text(os.path.join(lock.root, LOCK), staged)
        self._settings()

    def _build(self, package: LockedPackage) -> None:
        """Stage what building a package reads."""
        if absolute := self.lock.absolute(package):
            raise SourceError(
                f"{self.lock.path} has {package.name!r} at {absolute}, a place that no image has",
                hint=f"write a relative path in [tool.uv.sources] or [[tool.uv.index]], and {self.hint}",
            )
        if package.place and package.kind == "path":
            self.tree.file(package.place, self.hint)
        elif package.place and package.kind != "virtual":
            self.tree.folder(package.place, self.hint)
        for file in self.lock.distributions(package):
            self.tree.file(file, self.hint)

    def _pyproject(self, folder: str, *, whole: bool) -> None:
        path = os.path.join(folder, PYPROJECT)
        if folder == self.lock.root and not os.path.lexists(path):
            return
        text, data = read_toml(path, f"{self.lock.path} names this project; {self.hint}")
        staged = text.encode() if whole else normalised(for_dependencies(data, "uv"), text)
        refuse_credentials(staged.decode(), text, path, _CREDENTIALS)
        self.tree.text(path, staged)
        if package := self.lock.project_at(folder):
            self._check_fresh(package, data)

    def _check_fresh(self, package: LockedPackage, data: dict[str, object]) -> None:
        path = os.path.join(package.place or "", PYPROJECT)
        name = normal_name(str(table(data, "project").get("name", package.name)))
        wanted = dependency_names(data)
        if name != package.name:
            why = f"it knows {package.name!r}, which is now {name!r}"
        elif wanted is None or (wanted ^ package.required()) <= {name}:
            return
        elif missing := sorted(wanted - package.required()):
            why = f"it does not know {missing[0]!r}"
        else:
            why = f"it still has {min(package.required() - wanted)!r}"
        raise SourceError(f"{self.lock.path} is older than {path}: {why}", hint=self.hint)

    def _settings(self) -> None:
        """Take the settings that replace `[tool.uv]`, where there are some."""
        path = os.path.join(self.lock.root, SETTINGS)
        if os.path.lexists(path):
            text, data = read_toml(path, self.hint)
            staged = normalised(data, text)
            refuse_credentials(staged.decode(), text, path, _CREDENTIALS)
            self.tree.text(path, staged)
