"""The part of a `uv.lock` that names places on this machine, and what leads to them."""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH100, PTH118

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagebuilder.errors import SourceError
from imagebuilder.sources.pyproject import normal_name, table, tables
from imagebuilder.sources.user_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The kinds of source that stand for a folder or file; a virtual one is never built.
_LOCAL = ("editable", "directory", "virtual", "path")
_SCHEMA = 1


@dataclass(frozen=True)
class LockedPackage:
    """One `[[package]]`: `kind` is the key of its source, `place` the absolute path of a local one."""

    name: str
    kind: str
    place: str | None
    data: dict[str, Any]

    def required(self) -> set[str]:
        """The names that the project required when it was locked, those of its extras left out."""
        required = tables(table(self.data, "metadata"), "requires-dist")
        return {
            normal_name(str(item.get("name"))) for item in required if "extra ==" not in str(item.get("marker", ""))
        }


class UvLock:
    """A lock file and the folder that its paths start at."""

    def __init__(self, path: str, root: str) -> None:
        self.path = path
        self.root = root
        self.text, data = read_toml(path, f"run `uv lock` in {root}")
        if data.get("version") != _SCHEMA:
            raise SourceError(
                f"{path} has version = {data.get('version')!r}, and only {_SCHEMA} is understood",
                hint=f"run `uv lock` in {root} with a current uv",
            )
        self.packages = tuple(map(self._package, tables(data, "package")))
        self._members = set(_strings(table(data, "manifest").get("members")))

    def _package(self, data: dict[str, Any]) -> LockedPackage:
        source = table(data, "source")
        kind = next(iter(source), "")
        value = source.get(kind)
        place = self.resolve(value) if kind in _LOCAL and isinstance(value, str) else None
        return LockedPackage(normal_name(str(data.get("name"))), kind, place, data)

    def resolve(self, path: str) -> str:
        """The absolute path of one in the lock."""
        return os.path.abspath(os.path.join(self.root, path))

    def project_at(self, folder: str) -> LockedPackage | None:
        """The package whose project is in a folder."""
        return next((one for one in self.packages if one.place == folder and one.kind != "path"), None)

    def members(self) -> list[LockedPackage]:
        """The members of the workspace; without one, the project at its root."""
        if self._members:
            return [one for one in self.packages if one.name in self._members and one.place]
        return [one for one in self.packages if one.place == self.root]

    def reached(self, roots: Sequence[LockedPackage], *, everything: bool) -> list[LockedPackage]:
        """What an install of the roots installs, in the order of the lock.

        `everything` follows all extras and groups of the roots, and not only their dependencies.
        """
        by_name: dict[str, list[LockedPackage]] = {}
        for package in self.packages:
            by_name.setdefault(package.name, []).append(package)
        pending = [edge for root in roots for edge in _edges(root, everything=everything)]
        seen: set[tuple[str, str]] = set()
        while pending:
            name, extra = pending.pop()
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for package in by_name.get(name, []):
                pending += _dependencies(package, extra)
        names = {name for name, _ in seen}
        return [package for package in self.packages if package.name in names]

    def distributions(self, package: LockedPackage) -> list[str]:
        """The absolute paths of a package's files in an index that is a folder of this machine."""
        registry = table(package.data, "source").get("registry")
        if not isinstance(registry, str) or "://" in registry:
            return []
        files = [*tables(package.data, "wheels"), table(package.data, "sdist")]
        return [
            self.resolve(os.path.join(registry, file["path"])) for file in files if isinstance(file.get("path"), str)
        ]

    def absolute(self, package: LockedPackage) -> str | None:
        """A place of the package that the lock has in absolute form, where it cannot be in an image."""
        source = table(package.data, "source")
        values = [source.get(kind) for kind in (*_LOCAL, "registry")]
        return next((value for value in values if isinstance(value, str) and value.startswith(("/", "file:"))), None)


def _edges(package: LockedPackage, *, everything: bool) -> Iterator[tuple[str, str]]:
    yield from _dependencies(package, "")
    if everything:
        for kind in ("optional-dependencies", "dev-dependencies"):
            for listed in table(package.data, kind).values():
                yield from _listed(listed)


def _dependencies(package: LockedPackage, extra: str) -> Iterator[tuple[str, str]]:
    listed = table(package.data, "optional-dependencies").get(extra) if extra else package.data.get("dependencies")
    yield from _listed(listed)


def _listed(listed: object) -> Iterator[tuple[str, str]]:
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            name = normal_name(str(item.get("name")))
            yield name, ""
            for extra in _strings(item.get("extra")):
                yield name, extra


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
