"""The task SDK's own files: which of its distributions' an image has, and those that are installed on this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

# They are released together, under one version.
DISTRIBUTIONS: Final = ("tasksdk", "imagebuilder")
# Of this project an image has the spec, which a task's module builds its images with.
_OF_IMAGEBUILDER: Final = ("__init__.py", "errors.py", "py.typed", "spec/")
COMMANDS: Final = "entry_points.txt"
_OWN_METADATA: Final = tuple(f"{name}-" for name in DISTRIBUTIONS)
_ABSENT: Final = re.compile(rb"Requires-Dist:(?! *(?:flyteidl2|imagebuilder|protobuf|tasksdk)\b)")
_DROPPED: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


def belongs(name: str) -> bool:
    """Whether an image has a file that an installer put into a folder of packages."""
    root, _, rest = name.partition("/")
    if rest.rpartition("/")[2] in _DROPPED or "__pycache__" in name or root in ("", "bin") or root.startswith("."):
        return False
    if root == "imagebuilder":
        return rest.startswith(_OF_IMAGEBUILDER)
    if root.endswith(".dist-info") and root.startswith(_OWN_METADATA):
        return rest == "METADATA" or (rest == COMMANDS and root.startswith("tasksdk-"))
    return True


def metadata_of_image(metadata: bytes) -> bytes:
    """A package's metadata, asking for what the SDK lacks no more: its modules never import that."""
    return b"".join(line for line in metadata.splitlines(keepends=True) if not _ABSENT.match(line))


@dataclass(frozen=True)
class Installed:
    """Files on this machine by their place among packages, and metadata; `mark` differs where a file does."""

    modules: tuple[tuple[str, Path], ...]
    metadata: tuple[tuple[str, bytes], ...]
    mark: tuple[object, ...]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file, as it is now."""
        for name, path in self.modules:
            yield name, path.read_bytes()
        yield from self.metadata


def installed(version: str) -> Installed | None:
    """The files of the SDK and of the spec, editable ones too; None where this machine lacks that version of either.

    A checkout that this program runs from has the SDK, although nobody installed it.
    """
    modules: list[tuple[str, Path]] = []
    metadata: list[tuple[str, bytes]] = []
    for name in DISTRIBUTIONS:
        found = _installed(name) or _of_checkout(name)
        if found is None or found.version != version:
            return None
        modules += _modules(name, found.folder)
        metadata += [(f"{name}-{version}.dist-info/{file}", text.encode()) for file, text in found.metadata.items()]
    kept = tuple((name, data) for name, data in metadata if belongs(name))
    states = [path.stat() for _, path in modules]
    stamps = [(name, one.st_size, one.st_mtime_ns) for (name, _), one in zip(modules, states, strict=True)]
    return Installed(tuple(modules), kept, (*stamps, *kept))


def files_of(folder: Path) -> list[Path]:
    """Every file below a folder, in the order of their paths."""
    found = (Path(where) / name for where, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.is_file())


@dataclass(frozen=True)
class _Distribution:
    """Where a distribution's package is, and its metadata by the name of the file."""

    version: str
    folder: Path
    metadata: dict[str, str]


def _installed(name: str) -> _Distribution | None:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    metadata = {file: text for file in ("METADATA", COMMANDS) if (text := found.read_text(file))}
    return _Distribution(found.version, Path(spec.submodule_search_locations[0]), metadata)


def _of_checkout(name: str) -> _Distribution | None:
    top = Path(__file__).resolve().parents[2]
    folder = top / "sdk" if name == "tasksdk" else top
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return None
    project = load_toml(text, str(folder / "pyproject.toml")).get("project", {})
    if project.get("name") != name or not (folder / name).is_dir():
        return None
    scripts = "".join(f"{command} = {place}\n" for command, place in project.get("scripts", {}).items())
    version = project["version"]
    metadata = {
        "METADATA": f"Metadata-Version: 2.3\nName: {name}\nVersion: {version}\n",
        COMMANDS: f"[console_scripts]\n{scripts}",
    }
    return _Distribution(version, folder / name, metadata)


def _modules(package: str, root: Path) -> Iterator[tuple[str, Path]]:
    for path in files_of(root):
        name = f"{package}/{path.relative_to(root).as_posix()}"
        if path.suffix in (".py", ".typed") and belongs(name):
            yield name, path
