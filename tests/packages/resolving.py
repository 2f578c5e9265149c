"""Resolution in a few words, for the tests beside this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagebuilder.builders.site import Site
from imagebuilder.packages import NeedsInstaller, PythonStep, Resolution, Resolver, Uv
from imagebuilder.sources.pylock import read_pylock
from imagebuilder.sources.requirements import read_requirements
from imagebuilder.sources.sources import Sources
from imagebuilder.sources.uv_project import read_uv_project
from imagebuilder.sources.wheels import read_wheels
from imagebuilder.spec.layers import PipOptions, PyLock, PythonLayer, Requirements, UvProject, Wheels

from .conftest import target

if TYPE_CHECKING:
    from pathlib import Path

OFFLINE = PipOptions(extra_args=("--no-index",))


def step(number: int, layer: PythonLayer) -> PythonStep:
    sources = Sources()
    match layer:
        case Wheels():
            return PythonStep(number, layer, read_wheels(layer, sources))
        case Requirements():
            return PythonStep(number, layer, read_requirements(layer, sources))
        case UvProject():
            return PythonStep(number, layer, read_uv_project(layer, sources))
        case PyLock():
            return PythonStep(number, layer, read_pylock(layer, sources))
        case _:
            return PythonStep(number, layer)


def resolve(environ: dict[str, str], *layers: PythonLayer, site: Site | None = None, **more: Any) -> Any:
    steps = [step(number, layer) for number, layer in enumerate(layers, 1)]
    installed = more.pop("installed", None)
    uv = Uv(environ, site or Site(), more.pop("command", ()))
    return Resolver(more.pop("at", target()), uv, **more).resolve(steps, installed)


def names(found: Resolution | NeedsInstaller) -> list[str]:
    assert isinstance(found, Resolution), found
    return [str(package) for package in found.packages]


def requirements(tmp_path: Path, text: str, name: str = "requirements.txt", **options: Any) -> Requirements:
    (tmp_path / name).write_text(f"--no-index\n--find-links ./links\n{text}")
    return Requirements(str(tmp_path / name), PipOptions(**options))
