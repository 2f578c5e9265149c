"""What of a `pyproject.toml` matters to one that installs what the project depends on, and not the project."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

# An edit to the description, the authors or the settings of a linter must not rebuild an image.
_PROJECT = frozenset(("name", "version", "requires-python", "dependencies", "optional-dependencies", "dynamic"))
_TABLES = frozenset(("build-system", "dependency-groups"))
_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


def for_dependencies(data: Mapping[str, Any], tool: str) -> dict[str, Any]:
    """The tables that `tool` reads to install dependencies."""
    kept: dict[str, Any] = {name: value for name, value in data.items() if name in _TABLES}
    if "project" in data:
        kept["project"] = {name: value for name, value in table(data, "project").items() if name in _PROJECT}
    if settings := table(data, "tool", tool):
        kept["tool"] = {tool: {name: value for name, value in settings.items() if name != "build-backend"}}
    return kept


def table(data: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """A table by its path, empty where there is none."""
    found: Any = data
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def tables(data: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The tables of an array, those alone."""
    found = data.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def dependency_names(data: Mapping[str, Any]) -> set[str] | None:
    """The names in `project.dependencies`; None where a build backend decides them."""
    project = table(data, "project")
    dynamic, listed = project.get("dynamic"), project.get("dependencies", [])
    if (isinstance(dynamic, list) and "dependencies" in dynamic) or not isinstance(listed, list):
        return None
    return set(_names(listed))


def outside_source(data: Mapping[str, Any]) -> str | None:
    """A dependency that `[tool.uv.sources]` takes from a workspace or a path out of the project's folder."""
    project = table(data, "project")
    extras = table(project, "optional-dependencies").values()
    listed = [item for group in (project.get("dependencies"), *extras) if isinstance(group, list) for item in group]
    wanted = set(_names(listed))
    for name, given in table(data, "tool", "uv", "sources").items():
        for source in given if isinstance(given, list) else [given]:
            if normal_name(name) not in wanted or not isinstance(source, dict):
                continue
            path = os.path.normpath(str(source.get("path", ".")))
            if source.get("workspace") is True or path.startswith(("../", "/")) or path == "..":
                return name
    return None


def _names(requirements: list[Any]) -> Iterator[str]:
    for item in requirements:
        if isinstance(item, str) and (found := _NAME.match(item)):
            yield normal_name(found[1])


def normal_name(name: str) -> str:
    """A package's name in the one form that compares (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
