"""Writes what a build reads: the Dockerfile, the files of its layers, the tools its steps mount."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.plan.render import Rendered, render

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.builders.tools import Tools
    from imagebuilder.plan.ops import DockerfilePlan, Plan
    from imagebuilder.spec.platform import Platform


def write_context(
    plan: Plan, folder: Path, platforms: tuple[Platform, ...], tools: Tools, *, site: bool = False, ca: bool = False
) -> Rendered:
    """Write a folder that plain `docker build` accepts.

    Raises:
        SourceChangedError: a file is no longer what was identified.
    """
    rendered = render(plan, site=site, ca=ca)
    folder.mkdir(parents=True, exist_ok=True)
    for name, material in plan.materials.items():
        material.write(folder / name)
    if rendered.needs_tools:
        for platform in platforms:
            tools.place_uv(platform, folder / "tools" / platform.architecture)
    (folder / "Dockerfile").write_text(rendered.dockerfile)
    return rendered


def write_dockerfile_context(plan: DockerfilePlan, folder: Path) -> tuple[Path, Path]:
    """Write a user's Dockerfile and its context; returns both."""
    plan.material.write(folder)
    (folder / "context").mkdir(exist_ok=True)
    return folder / "Dockerfile", folder / "context"
