"""Writes what a build reads: the Dockerfile, the files of its layers, the tools its steps mount."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imagebuilder.plan.render import Rendered, render
from imagebuilder.sources.material import Original, Text
from imagebuilder.sources.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imagebuilder.builders.tools import Tools
    from imagebuilder.plan.ops import DockerfilePlan, Plan
    from imagebuilder.sources.material import Material
    from imagebuilder.spec.platform import Platform


def write_context(
    plan: Plan,
    folder: Path,
    platforms: tuple[Platform, ...],
    tools: Tools,
    *,
    site: bool = False,
    ca: bool = False,
    bytecode: bool = True,
) -> Rendered:
    """Write a folder that plain `docker build` accepts.

    Raises:
        SourceChangedError: a file is no longer what was identified.
    """
    rendered = render(plan, site=site, ca=ca, bytecode=bytecode)
    write_files(folder, rendered.dockerfile, plan.materials, platforms if rendered.needs_tools else (), tools)
    return rendered


def write_files(
    folder: Path, dockerfile: str, materials: Mapping[str, Material], platforms: tuple[Platform, ...], tools: Tools
) -> None:
    """Write a Dockerfile, the folders that its steps mount, and the tools of some platforms."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, material in materials.items():
        material.write(folder / name)
        stamp(material, folder / name)
    for platform in platforms:
        tools.place_uv(platform, folder / "tools" / platform.architecture)
    (folder / "Dockerfile").write_text(dockerfile)


def write_dockerfile_context(plan: DockerfilePlan, folder: Path) -> tuple[Path, Path]:
    """Write a user's Dockerfile and its context; returns both."""
    plan.material.write(folder)
    stamp(plan.material, folder)
    (folder / "context").mkdir(exist_ok=True)
    return folder / "Dockerfile", folder / "context"


def stamp(material: Material, folder: Path) -> None:
    """Give each file a time that stands for its content.

    BuildKit takes a file of a context for unchanged where size and time (in nanoseconds) are, and fetches only others.
    """
    for at, piece in material.pieces:
        match piece:
            case Snapshot():
                for path, digest in zip(piece.paths, piece.digests, strict=True):
                    _stamp(folder / at / path, digest)
            case Original(file=file):
                _stamp(folder / at, bytes.fromhex(file.sha256))
            case Text():
                _stamp(folder / at, bytes.fromhex(piece.sha256))


def _stamp(path: Path, digest: bytes) -> None:
    # Some 60 bits: up to 34 years of nanoseconds after 1980.
    time = (315_532_800 << 30) + int.from_bytes(digest[:8], "big") % (1 << 60)
    os.utime(path, ns=(time, time))
