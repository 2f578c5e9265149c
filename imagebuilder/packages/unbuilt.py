"""Packages that only a build tells the needs of: where uv stopped for one, and how it is told what a build said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING, Any, Final

from imagebuilder.layers.wheel import WheelFile
from imagebuilder.packages.no_build import REFUSED
from imagebuilder.sources.toml_text import dump

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_FAILED: Final = re.compile(r"Failed to build `(?P<requirement>[^`\n]+)`")
_FOLDER: Final = re.compile(rf"{re.escape(REFUSED)} (?P<folder>.+)$", re.MULTILINE)
_FILE: Final = "file://"


@dataclass(frozen=True)
class Unbuilt:
    """What uv would have built: a requirement, or a folder below its stage where it does not know the name."""

    requirement: str | None
    folder: str | None = None

    def __str__(self) -> str:
        if self.requirement is not None:
            return self.requirement.partition(" @ ")[0].replace("==", " ")
        return self.folder or "a project without a name"

    @property
    def name(self) -> str | None:
        """Its name, where that is known."""
        return None if self.requirement is None else re.split(r"==| @ ", self.requirement, maxsplit=1)[0]


def unbuilt(said: str, stage: Path) -> Unbuilt | None:
    """What uv's words say that it wanted to build; None where it failed for another reason.

    Messages leave out the path of the stage, and here it is put back.
    """
    refused = _FOLDER.search(said)
    if refused is None:
        return None
    if failed := _FAILED.search(said):
        name, at, url = failed["requirement"].partition(f" @ {_FILE}")
        place = url if url.startswith("/") else f"{stage}/{url}"
        return Unbuilt(f"{name} @ {_FILE}{place}" if at else name)
    folder = refused["folder"]
    return Unbuilt(None, None if folder.startswith("/") else folder)


@dataclass(frozen=True)
class CoreMetadata:
    """What a package is and needs (PyPA "Core metadata")."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    extras: tuple[str, ...] = ()

    @classmethod
    def of(cls, wheel: Path) -> CoreMetadata:
        """That of a wheel.

        Raises:
            SourceError: it is none that can be installed.
        """
        opened = WheelFile(wheel)
        found = BytesHeaderParser().parsebytes(opened.read(f"{opened.dist_info}/METADATA"))
        return cls(
            opened.name,
            str(found.get("Version", opened.version)),
            tuple(map(str, found.get_all("Requires-Dist", []))),
            str(found.get("Requires-Python", "")),
            tuple(map(str, found.get_all("Provides-Extra", []))),
        )


def settings_of(known: Iterable[CoreMetadata]) -> str:
    """A `uv.toml` that says what packages need, so that uv does not build them to find out."""
    return dump({"dependency-metadata": [_table(one) for one in known]})


def _table(metadata: CoreMetadata) -> dict[str, Any]:
    python = {"requires-python": metadata.requires_python} if metadata.requires_python else {}
    return {
        "name": metadata.name,
        "version": metadata.version,
        "requires-dist": list(metadata.requires),
        "provides-extra": list(metadata.extras),
        **python,
    }


def named_stub(name: str) -> str:
    """What a `pyproject.toml` without a name lacks to have one."""
    return f'\n[project]\nname = "{name}"\ndynamic = ["version", "dependencies", "optional-dependencies"]\n'
