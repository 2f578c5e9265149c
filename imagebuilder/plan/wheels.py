"""Writes the Dockerfile that builds wheels of packages that have none: one stage for each, on the image it is for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from imagebuilder.plan.ops import Exec, InstallPackages
from imagebuilder.plan.render import run_instruction
from imagebuilder.plan.templates import render_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.plan.ops import Plan

# The name of the image to build on, where that is given by a folder and not by a reference.
BASE = "imagebuilder-base"


@dataclass(frozen=True)
class WheelStep:
    """A step that builds a wheel, and the layer of the spec that wants it."""

    layer: int
    op: Exec


@dataclass(frozen=True)
class RenderedWheels:
    """A Dockerfile, and for each of its stages the layer and what it shows; wheels end in folders named like them."""

    dockerfile: str
    stages: dict[str, tuple[int, str]]


def installing(plan: Plan, layer: int) -> Exec:
    """The step of a layer that installs packages."""
    return next(
        step.op
        for step in plan.steps
        if step.layer == layer
        and isinstance(step.op, Exec)
        and any(isinstance(op, InstallPackages) for op in step.op.files_only)
    )


@dataclass(frozen=True)
class WheelSource:
    """Where a package's sources are: in `files`, a folder of the context, or `archive` there, or a git repository."""

    subdirectory: str = ""
    archive: str = ""
    repository: str = ""
    commit: str = ""


def wheel_step(
    install: Exec,
    name: str,
    source: WheelSource,
    files: str | None,
    *,
    python: str,
    arguments: tuple[str, ...],
    date: int,
) -> Exec:
    """The step that builds a wheel, with the secrets and settings of the one that would install it.

    `python` is the path of the interpreter, `date` is in seconds since the epoch.
    """
    given = dict(install.values)
    values = {
        "venv": given["venv"],
        "no_config": given["no_config"],
        "package": name,
        "python": python,
        "arguments": arguments,
        "date": date,
        **asdict(source),
    }
    return Exec(
        "steps/wheel.sh.j2",
        tuple(values.items()),
        f"build {name}",
        files=files,
        cache="uv",
        network=True,
        tools=True,
        secrets=install.secrets,
    )


def render_wheels(base: str, steps: Sequence[WheelStep], *, site: bool = False, ca: bool = False) -> RenderedWheels:
    """Write the steps as stages on `base`, a reference; `site` and `ca` as in `render`."""
    named = [(f"wheel-{number}", step) for number, step in enumerate(steps, 1)]
    stages = [
        {"name": name, "title": step.op.shows, "run": run_instruction(step.op, site=site, ca=ca)}
        for name, step in named
    ]
    text = render_template("Wheels.j2", base=base, stages=stages)
    return RenderedWheels(text.rstrip("\n") + "\n", {name: (step.layer, step.op.shows) for name, step in named})
