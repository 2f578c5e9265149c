"""Packages without a wheel: built in BuildKit on the image's base, then assembled like any other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.events import Step, Warning  # noqa: A004 - the design's event
from imagebuilder.errors import BuildError
from imagebuilder.forecast import forecast

if TYPE_CHECKING:
    from conftest import Forge

# Whoever runs this on the machine that builds the image leaves a file there.
TRAP = "import pathlib\ntrap = pathlib.Path({trap!r})\ntrap.parent.is_dir() and trap.write_text('ran')\n"
SETUP = TRAP + (
    "from setuptools import setup\n"
    "setup(name='old-style', version='1.5', py_modules=['old_style'], install_requires=['idna==3.10'],\n"
    "      entry_points={{'console_scripts': ['old-style = old_style:main']}})\n"
)
HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


def on(forge: Forge, *, docker: bool = True, builder: str = "auto") -> Forge:
    environ = dict(forge.environ)
    if not docker:
        environ |= {"PATH": "/nonexistent", "DOCKER_HOST": "tcp://127.0.0.1:9"}
    return replace(forge, environ=environ, flags={"builder": builder}, events=[])


def said(forge: Forge) -> list[str]:
    return [event.message for event in forge.events if isinstance(event, Warning)]


def built(forge: Forge) -> list[str]:
    steps = [event for event in forge.events if isinstance(event, Step) and event.title.startswith("build ")]
    return [f"{step.layer} {step.title}" for step in steps if step.state in ("done", "cached")]


def to_build(forge: Forge, image: Image) -> list[str]:
    config = forge.config()
    with config.make_client() as client:
        engine = config.make_engine(client)
        (found,) = forecast(engine, client, engine.resolver.identify([("app", image)]))
    return [name for one in found.platforms for name, _, _ in one.built]


@pytest.fixture
def code(tree: Any) -> Path:
    tree.file("code/main.py", "print('one')\n")
    return Path(tree.root / "code")


@pytest.fixture
def projects(tree: Any) -> Path:
    """A project whose name and needs only its backend knows, and one whose version it does."""
    trap = str(tree.root / "ran-on-the-host")
    tree.file("old/setup.py", SETUP.format(trap=trap))
    tree.file("old/old_style.py", "def main():\n    print('old style')\n")
    tree.file(
        "dynamic/pyproject.toml",
        f'[project]\nname = "dyn-amic"\ndynamic = ["version"]\n{HATCH}'
        '[tool.hatch.version]\npath = "dyn_amic/__init__.py"\n[project.scripts]\ndyn = "dyn_amic:main"\n',
    )
    tree.file("dynamic/dyn_amic/__init__.py", "__version__ = '2.5'\n\ndef main():\n    print('dynamic')\n")
    tree.file("requirements.txt", "-e ./old\n./dynamic\n")
    return Path(tree.root)


def test_an_sdist_of_an_index(forge: Forge, code: Path, tmp_path: Path) -> None:
    """What it needs is learned from the wheel; afterwards nothing asks BuildKit any more."""
    # Another test may have built the same wheel.
    forge = replace(forge, environ={**forge.environ, "IMAGEBUILDER_CACHE_DIR": str(tmp_path / "cache")})
    image = (
        Image.from_debian_base("3.11", install_sdk=False, name=forge.name("docopt"), registry=forge.registry)
        .with_pip_packages("docopt==0.6.2")
        .with_source_folder(code, "/app/code")
    )
    first = on(forge)
    assert to_build(first, image) == ["docopt 0.6.2"]
    uri = first.build_one(image).uri
    assert to_build(first, image.with_env_vars({"A": "1"})) == []
    assert forge.sh(uri, "python code/main.py; python -c 'import docopt; print(docopt.__version__)'") == "one\n0.6.2\n"
    assert built(first) == ["1 build docopt 0.6.2"]
    (code / "main.py").write_text("print('two')\n")
    second = on(forge, docker=False)
    more = second.build_one(image.with_pip_packages("idna==3.10"))
    assert forge.sh(more.uri, "python code/main.py; python -c 'import docopt, idna'") == "two\n"
    assert said(first) == said(second) == []


def test_projects_of_this_machine(forge: Forge, projects: Path) -> None:
    image = Image.from_debian_base("3.11", install_sdk=False, name=forge.name("projects"), registry=forge.registry)
    image = image.with_requirements(projects / "requirements.txt")
    first = on(forge)
    result = first.build_one(image)
    assert forge.sh(result.uri, "old-style; dyn") == "old style\ndynamic\n"
    script = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({d.name: d.version for d in m.distributions() if d.name != 'pip'}))"
    )
    assert json.loads(forge.run(result.uri, "python", "-c", script)) == {
        "old-style": "1.5",
        "dyn-amic": "2.5",
        "idna": "3.10",
    }
    assert sorted(built(first)) == ["1 build dyn-amic", "1 build local-1"]
    assert not (projects / "ran-on-the-host").exists()
    assert sorted(path.name for path in (projects / "old").iterdir()) == ["old_style.py", "setup.py"]
    # One of them changes: the other is not built again, and gives the same layer.
    (projects / "dynamic" / "dyn_amic" / "__init__.py").write_text(
        "__version__ = '2.6'\n\ndef main():\n    print(26)\n"
    )
    again = on(forge)
    changed = again.build_one(image)
    assert forge.sh(changed.uri, "old-style; dyn") == "old style\n26\n"
    assert built(again) == ["1 build dyn-amic"]


def test_the_same_bytes_again(forge: Forge, projects: Path, tmp_path: Path) -> None:
    image = Image.from_debian_base("3.11", install_sdk=False, name=forge.name("again"), registry=forge.registry)
    image = image.with_requirements(projects / "requirements.txt")
    digests = set()
    for number in range(2):
        machine = on(forge)
        machine.environ["IMAGEBUILDER_CACHE_DIR"] = str(tmp_path / f"machine-{number}")
        digests.add(machine.build_one(image, force=True, no_cache=True).digest)
    assert len(digests) == 1


def test_a_uv_project_with_itself(forge: Forge, tree: Any) -> None:
    """With a member of its workspace, on top of a layer that runs."""
    sources = "[tool.uv.workspace]\nmembers = ['member']\n[tool.uv.sources]\nmember = { workspace = true }\n"
    tree.file(
        "ws/pyproject.toml",
        '[project]\nname = "whole"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f'dependencies = ["member", "idna==3.10"]\n{HATCH}{sources}',
    )
    tree.file("ws/whole/__init__.py", "import member\n")
    tree.file(
        "ws/member/pyproject.toml", f'[project]\nname = "member"\nversion = "3"\nrequires-python = ">=3.11"\n{HATCH}'
    )
    tree.file("ws/member/member/__init__.py", "where = 'member'\n")
    import subprocess

    subprocess.run(["uv", "lock", "--quiet"], cwd=tree.root / "ws", check=True, stdin=subprocess.DEVNULL)
    image = (
        Image.from_debian_base("3.11", install_sdk=False, name=forge.name("uv-project"), registry=forge.registry)
        .with_commands(["echo ran > /ran"])
        .with_uv_project(tree.root / "ws" / "pyproject.toml", project_install_mode="install_project")
    )
    auto = on(forge)
    uri = auto.build_one(image).uri
    script = "import whole; print(whole.member.where, whole.__file__)"
    assert forge.run(uri, "python", "-c", script) == (
        "member /opt/venv/lib/python3.11/site-packages/whole/__init__.py\n"
    )
    assert forge.sh(uri, "cat /ran") == "ran\n"
    assert sorted(built(auto)) == ["2 build member", "2 build whole"]
    assert said(auto) == []


def test_a_build_that_fails_names_its_layer(forge: Forge, tree: Any) -> None:
    tree.file(
        "bad/pyproject.toml",
        '[project]\nname = "bad"\nversion = "1"\n[build-system]\n'
        'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    )
    tree.file("bad/backend.py", "def build_wheel(*_):\n    raise SystemExit('gcc: command not found')\n")
    tree.file("requirements.txt", "./bad\n")
    image = Image.from_debian_base("3.11", install_sdk=False, name=forge.name("bad"), registry=forge.registry)
    image = image.with_env_vars({"A": "1"}).with_requirements(tree.root / "requirements.txt")
    with pytest.raises(BuildError, match=r"layer 2, requirements .*: build bad(.|\n)*gcc: command not found") as failed:
        on(forge).build_one(image)
    assert "build-essential" in (failed.value.hint or "")


def test_nothing_is_run_where_that_was_not_asked_for(forge: Forge, projects: Path) -> None:
    image = Image.from_debian_base("3.11", install_sdk=False, name=forge.name("alone"), registry=forge.registry)
    with pytest.raises(NotDirectError, match=r"must be built|has no wheel yet"):
        on(forge, builder="direct", docker=False).build_one(image.with_requirements(projects / "requirements.txt"))
    assert not (projects / "ran-on-the-host").exists()
