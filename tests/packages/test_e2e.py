"""Resolutions through the index that this machine is configured for, held against what uv installs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagebuilder.builders.site import Site
from imagebuilder.packages import (
    Fetcher,
    LockedFile,
    Logins,
    NeedsBuild,
    PythonStep,
    PythonTarget,
    Resolution,
    Resolver,
    Uv,
    WheelStore,
    choose,
)
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.sources.script_project import read_script
from imagebuilder.sources.sources import Sources
from imagebuilder.sources.uv_project import read_uv_project
from imagebuilder.spec.base import ScriptBase
from imagebuilder.spec.layers import PipOptions, PipPackages, UvProject

from .conftest import AMD64, ARM64, target
from .test_target import own_target

pytestmark = pytest.mark.e2e

STACK = ("numpy", "pandas", "scikit-learn")


def resolve(at: PythonTarget, *steps: PythonStep) -> Resolution:
    found = Resolver(at, Uv(os.environ, Site())).resolve(steps)
    assert isinstance(found, Resolution), found
    return found


def pip(*layers: PipPackages) -> list[PythonStep]:
    return [PythonStep(number, layer) for number, layer in enumerate(layers, 1)]


def uv(*arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(["uv", *arguments], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    uv("venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv"))
    return tmp_path / "venv" / "bin" / "python"


def installed(python: Path) -> dict[str, str]:
    rows = json.loads(uv("pip", "list", "--format", "json", "--python", str(python)))
    return {row["name"]: row["version"] for row in rows}


def versions(found: Resolution) -> dict[str, str | None]:
    return {package.name: package.version for package in found.packages}


@pytest.mark.parametrize(
    ("at", "tag"),
    [
        (target((3, 11), AMD64), "cp311-cp311-manylinux"),
        (target((3, 13), ARM64), "cp313-cp313-manylinux"),
        (target((3, 12), AMD64, musl=(1, 2)), "cp312-cp312-musllinux"),
    ],
    ids=str,
)
def test_the_stack_has_wheels_for_every_target(at: PythonTarget, tag: str) -> None:
    # scikit-learn has none for musl.
    stack = STACK if at.glibc else ("numpy", "pandas", "scipy")
    found = resolve(at, *pip(PipPackages(stack)))
    wheels = {package.name: choose(package, at) for package in found.packages}
    assert not [wheel for wheel in wheels.values() if isinstance(wheel, NeedsBuild)]
    for name in (*stack, "scipy"):
        wheel = wheels[name]
        assert isinstance(wheel, LockedFile)
        assert tag in wheel.name
        assert at.machine in wheel.name


def test_layers_resolve_to_what_uv_installs(venv: Path) -> None:
    layers = (
        PipPackages(STACK),
        PipPackages(("urllib3<2", "rich")),
        PipPackages(("requests", "httpx[http2]")),
        PipPackages(("black",), PipOptions(pre=True)),
        PipPackages(("urllib3>=2",)),
        PipPackages(("jupyterlab",), PipOptions(extra_args=("--no-deps",))),
    )
    for layer in layers:
        options = (*(("--prerelease", "allow") if layer.options.pre else ()), *layer.options.extra_args)
        uv("pip", "install", "--no-config", "--quiet", "--python", str(venv), *options, *layer.packages)
    assert versions(resolve(own_target(), *pip(*layers))) == installed(venv)


def test_a_workspace_with_a_path_dependency(tmp_path: Path, venv: Path) -> None:
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    hatch = "[tool.hatch.build.targets.wheel]\nbypass-selection = true\n"
    root = tmp_path / "app"
    for name, more in (
        (".", 'dependencies = ["lib", "member", "colorama; sys_platform == \'win32\'", "pandas"]\n'),
        ("member", 'dependencies = ["rich"]\n'),
        ("../lib", 'dependencies = ["idna"]\n'),
    ):
        (root / name).mkdir(parents=True, exist_ok=True)
        title = Path(name).name or "app"
        text = f'[project]\nname = "{title}"\nversion = "1"\nrequires-python = ">=3.10"\n{more}{build}{hatch}'
        if name == ".":
            text += '[tool.uv.workspace]\nmembers = ["member"]\n[tool.uv.sources]\nmember = { workspace = true }\n'
            text += 'lib = { path = "../lib" }\n'
        (root / name / "pyproject.toml").write_text(text)
    uv("lock", "--quiet", cwd=root)
    layer = UvProject(str(root / "pyproject.toml"))
    at = own_target()
    found = resolve(at, PythonStep(1, layer, read_uv_project(layer, Sources())))
    built = [choose(package, at) for package in found.packages if package.name in ("lib", "member")]
    assert [one.package.place for one in built if isinstance(one, NeedsBuild)] == ["lib", "app/member"]
    environ = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(venv.parent.parent)}
    command = ["uv", "sync", "--quiet", "--frozen", "--inexact", "--no-default-groups", "--no-editable"]
    subprocess.run([*command, "--no-install-project"], cwd=root, env=environ, check=True)
    assert set(versions(found)) == set(installed(venv))
    # What is built has its version from the build.
    assert {k: v for k, v in versions(found).items() if v} == {
        k: v for k, v in installed(venv).items() if k not in ("lib", "member")
    }


def test_a_script_is_locked_as_uv_locks_it(tmp_path: Path, venv: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "# /// script\n# requires-python = '>=3.10'\n# dependencies = ['numpy', 'rich<14', 'httpx', "
        "\"pywin32; sys_platform == 'win32'\"]\n# ///\n"
    )
    base = ScriptBase(str(script))
    material, _ = read_script(base, Sources(), lambda requires, name: sys.version_info[:2])
    found = resolve(own_target(), PythonStep(0, base, material))
    project = tmp_path / "project"
    material.write(project)
    uv("lock", "--quiet", "--python", str(venv), cwd=project)
    environ = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(venv.parent.parent)}
    subprocess.run(["uv", "sync", "--quiet", "--frozen", "--no-install-project"], cwd=project, env=environ, check=True)
    assert versions(found) == installed(venv)


def test_sources_alone_are_to_be_built_and_repositories_too() -> None:
    at = target()
    # A version without wheels is taken, and not some old one that has them.
    found = resolve(at, *pip(PipPackages(("psycopg2",))))
    for package in found.packages:
        chosen = choose(package, at)
        assert isinstance(chosen, NeedsBuild)
        assert chosen.is_possible


def test_wheels_are_fetched_and_are_what_was_locked(tmp_path: Path) -> None:
    at = target()
    found = resolve(at, *pip(PipPackages(STACK)))
    wheels = [wheel for package in found.packages if isinstance(wheel := choose(package, at), LockedFile)]
    assert len(wheels) == len(found.packages)
    arrived: list[int] = []
    with Fetcher(WheelStore(tmp_path), RegistrySettings.from_environ(os.environ), Logins(found.logins)) as fetcher:
        paths = fetcher.fetch(wheels, arrived.append)
        assert sum(arrived) == sum(path.stat().st_size for path in paths) > 50_000_000
        assert fetcher.fetch(wheels) == paths
