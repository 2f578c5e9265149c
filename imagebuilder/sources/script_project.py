"""What a script's metadata block asks for (PEP 723).

Staged: the block as the `pyproject.toml` of a project without code, and its local sources as `local-N` and `links-N`.
"""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH100, PTH112, PTH118, PTH120

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

from imagebuilder.errors import SourceError, SpecError
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.published import refuse_credentials
from imagebuilder.sources.toml_text import dump
from imagebuilder.sources.tree import Locals, is_project
from imagebuilder.sources.user_file import read_text
from imagebuilder.spec.credential import mask
from imagebuilder.spec.python_version import PythonVersion, satisfies
from imagebuilder.spec.script import ScriptMetadata, parse_script

if TYPE_CHECKING:
    from imagebuilder.sources.sources import Sources
    from imagebuilder.spec.base import ScriptBase

PythonFor: TypeAlias = Callable[[str | None, str], PythonVersion]

# A requirement by a path or file URL, which is this machine's.
_BY_PLACE = re.compile(r"@\s*(?:[a-z]+\+)?(?:file:|[./])")
_PATHS = "paths in a script's metadata are relative to the script; correct it, or remove it"
_CREDENTIALS = (
    "give the index as index_url=..., whose credentials are never published, or name it, [[tool.uv.index]] with "
    'name = "private", and give secret_mounts=[Secret("...", as_env_var="UV_INDEX_PRIVATE_PASSWORD")]'
)


def read_script(base: ScriptBase, sources: Sources, python_for: PythonFor) -> tuple[Material, PythonVersion]:
    """Read a script's metadata block: the project that stands for it, and its Python; no other line counts.

    Raises:
        SourceError: the script or a local source is missing.
        SecretError: a URL in the block has credentials in it.
        SpecError: there is no block, or its `requires-python` does not admit `python_version`.
    """
    path = os.path.abspath(base.script)
    source = read_text(path, f"correct the path in from_uv_script({base.script!r})")
    metadata = parse_script(source, path)
    version = _python(base, metadata, path, python_for)
    for dependency in metadata.dependencies:
        if _BY_PLACE.search(dependency):
            raise SourceError(
                f"{path}: {mask(dependency)!r} names a place that no image has",
                hint='write the name alone, and [tool.uv.sources] with name = { path = "../lib" }',
            )
    local = Locals(sources)
    settings = _settings(metadata.tool_uv, path, local)
    project = {
        "name": "script",
        "version": "0",
        # As `uv run` does for a script that does not say: what the interpreter is, or newer.
        "requires-python": metadata.requires_python or f">={version[0]}.{version[1]}",
        "dependencies": list(metadata.dependencies),
    }
    text = dump({"project": project, "tool": {"uv": settings}} if settings else {"project": project})
    refuse_credentials(text, source, path, _CREDENTIALS)
    return Material((("pyproject.toml", Text(text.encode())), *local.pieces)), version


def _python(base: ScriptBase, metadata: ScriptMetadata, path: str, python_for: PythonFor) -> PythonVersion:
    requires, version = metadata.requires_python, base.python_version
    if version is None:
        return python_for(requires, path)
    if requires is not None and not satisfies(version, requires):
        major, minor = version
        raise SpecError(
            f'python_version="{major}.{minor}" does not satisfy requires-python = "{requires}" of {path}',
            hint="leave python_version out, or change requires-python",
        )
    return version


def _settings(given: dict[str, Any], path: str, local: Locals) -> dict[str, Any]:
    """Rewrite `[tool.uv]` to the places where local sources are staged."""
    folder = os.path.dirname(path)
    # These describe a project with code of its own, or members; a script has neither.
    settings = {name: value for name, value in given.items() if name not in ("package", "workspace", "build-backend")}
    if isinstance(sources := settings.get("sources"), dict):
        settings["sources"] = {
            name: [_source(item, folder, local) for item in value]
            if isinstance(value, list)
            else _source(value, folder, local)
            for name, value in sources.items()
        }
    if isinstance(indexes := settings.get("index"), list):
        settings["index"] = [
            {**index, "url": _links(index["url"], folder, local)}
            if isinstance(index, dict) and "url" in index
            else index
            for index in indexes
        ]
    if isinstance(links := settings.get("find-links"), list):
        settings["find-links"] = [_links(item, folder, local) for item in links]
    return settings


def _source(source: Any, folder: str, local: Locals) -> Any:
    if not isinstance(source, dict) or not isinstance(source.get("path"), str):
        return source
    place = os.path.abspath(os.path.join(folder, source["path"]))
    if os.path.isdir(place) and not is_project(place):
        raise SourceError(f"{place} is not a Python project: it has no pyproject.toml or setup.py", hint=_PATHS)
    kept = {name: value for name, value in source.items() if name != "editable"}
    return {**kept, "path": local.project(place, _PATHS)}


def _links(url: Any, folder: str, local: Locals) -> Any:
    if not isinstance(url, str) or ("://" in url and not url.startswith("file:")):
        return url
    path = unquote(re.sub(r"\Afile:(?://(?:localhost)?(?=/))?", "", url)) if url.startswith("file:") else url
    place = os.path.abspath(os.path.join(folder, path))
    return f"./{local.place('links', place, _PATHS)}"
