"""Resolution by the real uv, with files of this machine and an index on it: no network."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.builders.site import Site
from imagebuilder.errors import SourceChangedError, SourceError
from imagebuilder.packages import NeedsBuild, PythonStep, Resolver, Uv, choose
from imagebuilder.sources.script_project import read_script
from imagebuilder.sources.sources import Sources
from imagebuilder.spec.base import ScriptBase
from imagebuilder.spec.layers import PipOptions, PyLock, UvProject

from .conftest import make_wheel, sha256, target
from .resolving import names, resolve


def project(tmp_path: Path, environ: dict[str, str]) -> Path:
    """A workspace of an application and a member, and a library by path, for a Python that is not here."""
    root = tmp_path / "ws"
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    index = '[[tool.uv.index]]\nname = "links"\nurl = "../links"\nformat = "flat"\n[tool.uv]\nno-index = false\n'
    text = (
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["zq-b", "member", "lib", "zq-c; sys_platform == \'win32\'"]\n'
        '[project.optional-dependencies]\nmore = ["zq-d"]\n[dependency-groups]\ndev = ["zq-e"]\n'
        f'{build}[tool.uv.workspace]\nmembers = ["packages/*"]\n'
        '[tool.uv.sources]\nmember = { workspace = true }\nlib = { path = "lib" }\n'
        f"{index}default = true\n".replace("[tool.uv]\nno-index = false\n", "")
    )
    for name in ("lib", "packages/member"):
        (root / name).mkdir(parents=True)
        own = f'[project]\nname = "{Path(name).name}"\nversion = "2"\nrequires-python = ">=3.11"\n{build}'
        (root / name / "pyproject.toml").write_text(own)
    (root / "pyproject.toml").write_text(text)
    subprocess.run(["uv", "lock", "--quiet"], cwd=root, env=environ, check=True, stdin=subprocess.DEVNULL)
    for name in ("pyproject.toml", "uv.lock", "lib/pyproject.toml", "packages/member/pyproject.toml"):
        path = root / name
        path.write_text(path.read_text().replace(">=3.11", ">=3.14"))
    return root


def test_a_workspace(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    make_wheel(links, "zq-d", "1.0")
    make_wheel(links, "zq-e", "1.0")
    root = project(tmp_path, environ)
    at = target((3, 14))

    def of(**more: Any) -> Any:
        return resolve(environ, UvProject(str(root / "pyproject.toml"), **more), at=at)

    found = of()
    assert names(found) == ["lib", "member", "zq-a 2.0", "zq-b 1.0"]
    local = [choose(package, at) for package in found.packages[:2]]
    assert all(isinstance(one, NeedsBuild) and one.is_possible for one in local)
    assert [package.place for package in found.packages[:2]] == ["ws/lib", "ws/packages/member"]
    assert [package.wheels[0].location for package in found.packages[2:]] == [
        str(links / "zq_a-2.0-py3-none-any.whl"),
        str(links / "zq_b-1.0-py3-none-any.whl"),
    ]
    found = of(project_install_mode="install_project")
    assert next((one.name, one.place) for one in found.packages if one.source == "directory") == ("app", "ws")
    found = of(options=PipOptions(extra_args=("--extra", "more", "--no-install-package", "zq-a")))
    assert names(found) == ["lib", "member", "zq-b 1.0", "zq-d 1.0"]
    with pytest.raises(SourceError, match="requires-python"):
        resolve(environ, UvProject(str(root / "pyproject.toml")))


def test_a_lock_is_used_as_it_is(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    wheel = links / "zq_a-1.0-py3-none-any.whl"
    digest = sha256(wheel.read_bytes())
    head = 'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "zq-a"\nversion = "1.0"\n'
    lock = tmp_path / "pylock.toml"
    lock.write_text(f'{head}wheels = [{{ path = "links/{wheel.name}", hashes = {{ sha256 = "{digest}" }} }}]\n')
    found = resolve(environ, PyLock(str(lock)), command=("/nonexistent",))
    assert names(found) == ["zq-a 1.0"]
    assert found.packages[0].wheels[0].location == str(wheel)
    lock.write_text(lock.read_text().replace(digest, "0" * 64))
    with pytest.raises(SourceChangedError, match="is not the file that was locked"):
        resolve(environ, PyLock(str(lock)))


def test_a_script_for_a_python_that_is_not_here(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "# /// script\n# requires-python = '>=3.14'\n# dependencies = ['zq-b', \"zq-d; sys_platform == 'win32'\"]\n"
        "# [[tool.uv.index]]\n# url = 'links'\n# format = 'flat'\n# default = true\n# ///\n"
    )
    make_wheel(links, "zq-d", "1.0")
    base = ScriptBase(str(script))
    material, version = read_script(base, Sources(), lambda requires, name: (3, 14))
    at = target(version)
    found = Resolver(at, Uv(environ, Site())).resolve([PythonStep(0, base, material)])
    assert names(found) == ["zq-a 2.0", "zq-b 1.0"]
