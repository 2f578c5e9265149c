"""Every way to install Python packages; the images are built together, several at a time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.errors import BuildError
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from conftest import Forge

    from imagebuilder.engine import Result

PROJECTS = Path(__file__).parents[2] / "fixtures" / "projects"
VERSIONS = (
    "import json, importlib.metadata as m;"
    "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
)


def uv(*args: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-m", "uv", *args], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample projects, locked here: a lock names the index it was made with, which is this machine's affair."""
    root = tmp_path_factory.mktemp("projects")
    shutil.copytree(PROJECTS, root, dirs_exist_ok=True)
    workspace = root / "uv-workspace"
    uv("lock", folder=workspace)
    locked = load_toml((workspace / "uv.lock").read_text(), "uv.lock")
    (index,) = {p["source"]["registry"] for p in locked["package"] if "registry" in p["source"]}
    (root / "requirements.in").write_text("idna\nsix\n")
    uv(
        "pip",
        "compile",
        "requirements.in",
        "--format",
        "pylock.toml",
        "-o",
        "pylock.toml",
        "--python-version",
        "3.11",
        folder=root,
    )
    for file in (root / "poetry").glob("*.*"):
        file.write_text(file.read_text().replace("@INDEX@", index.rstrip("/")))
    return root


@pytest.fixture(scope="module")
def built(forge: Forge, tmp_path_factory: pytest.TempPathFactory, wheel: Any, projects: Path) -> dict[str, Result]:
    root = tmp_path_factory.mktemp("layers")
    (root / "dist").mkdir()
    wheel(root / "dist" / "bolt-1.5-py3-none-any.whl", "bolt", "1.5", "VERSION = 1\n", "six")

    def image(what: str) -> Image:
        return Image.from_debian_base("3.11", name=forge.name(what), registry=forge.registry)

    workspace, poetry = projects / "uv-workspace" / "pyproject.toml", projects / "poetry" / "pyproject.toml"
    images = {
        "requirements": image("requirements").with_requirements(projects / "requirements" / "requirements.txt"),
        "uv-deps": image("uv-deps").with_uv_project(workspace),
        "uv-project": image("uv-project").with_uv_project(workspace, project_install_mode="install_project"),
        "pylock": image("pylock").with_pylock(projects / "pylock.toml"),
        "poetry": image("poetry").with_poetry_project(poetry),
        "poetry-project": image("poetry-project").with_poetry_project(poetry, project_install_mode="install_project"),
        "wheels": image("wheels").with_wheels(root / "dist"),
        "script": Image.from_uv_script(projects / "script.py", name=forge.name("script"), registry=forge.registry),
    }
    return dict(zip(images, forge.build(*images.values(), parallel=3), strict=True))


def versions(forge: Forge, result: Result) -> dict[str, Any]:
    found = json.loads(forge.run(result.uri, "python", "-c", VERSIONS))
    assert isinstance(found, dict)
    return found


def test_requirements_with_includes_and_constraints(forge: Forge, built: dict[str, Result]) -> None:
    found = versions(forge, built["requirements"])
    assert (found["six"], found["idna"]) == ("1.16.0", "3.6")


def test_dependencies_of_a_uv_workspace(forge: Forge, built: dict[str, Result]) -> None:
    found = versions(forge, built["uv-deps"])
    assert {"idna", "six", "shapes", "tint"} <= set(found)
    assert "gallery" not in found
    script = "import shapes, tint; print(shapes.sides(), tint.COLOUR)"
    assert forge.run(built["uv-deps"].uri, "python", "-c", script) == "4 ochre\n"


def test_a_uv_project_itself(forge: Forge, built: dict[str, Result]) -> None:
    script = "import gallery; print(gallery.sides(), gallery.__file__)"
    assert forge.run(built["uv-project"].uri, "python", "-c", script).startswith("4 /opt/venv/lib/")


def test_a_pylock(forge: Forge, built: dict[str, Result]) -> None:
    assert {"idna", "six"} <= set(versions(forge, built["pylock"]))


def test_a_poetry_project(forge: Forge, built: dict[str, Result]) -> None:
    found = versions(forge, built["poetry"])
    assert "six" in found
    assert not {"idna", "poetry", "ledger"} & set(found)
    script = "import ledger; print(ledger.TOTAL, ledger.__file__)"
    assert forge.run(built["poetry-project"].uri, "python", "-c", script).startswith("7 /opt/venv/lib/")


def test_wheels_with_what_they_need(forge: Forge, built: dict[str, Result]) -> None:
    found = versions(forge, built["wheels"])
    assert found["bolt"] == "1.5"
    assert "six" in found


def test_a_uv_script(forge: Forge, built: dict[str, Result]) -> None:
    assert versions(forge, built["script"])["six"] == "1.16.0"
    assert forge.run(built["script"].uri, "id", "-un") == "app\n"


def test_images_are_clean(forge: Forge, built: dict[str, Result]) -> None:
    for result in built.values():
        names = [name for layer in forge.own_layers(result.uri) for name in forge.paths(layer)]
        bad = ("run/imagebuilder", "tmp/", "root/.", ".cache", "uv_cache.json", "venv/.lock", "poetry/")
        assert [name for name in names if any(part in name for part in bad)] == [], result.name


def test_a_base_with_packages_of_its_own(forge: Forge, tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        "FROM python:3.11-slim-bookworm\n"
        "RUN mkdir -p /tmp/x && printf 'NAME = \"of the base\"\\n' > "
        "$(python3 -c 'import site; print(site.getsitepackages()[0])')/owned_by_base.py\n"
    )
    base = forge.build_one(Image.from_dockerfile(dockerfile, name=forge.name("site"), registry=forge.registry))
    image = Image.from_base(base.uri, name=forge.name("on-site"), registry=forge.registry).with_pip_packages("six")
    result = forge.build_one(image)
    script = "import sys, six, owned_by_base; print(sys.executable, owned_by_base.NAME)"
    assert forge.run(result.uri, "python", "-c", script) == "/opt/venv/bin/python of the base\n"


def test_a_base_without_python_is_named(forge: Forge) -> None:
    image = Image.from_base("debian:bookworm-slim", name=forge.name("no-python"), registry=forge.registry)
    with pytest.raises(BuildError, match="the base image has no Python") as caught:
        forge.build_one(image.with_pip_packages("six"))
    assert "layer 1, " in caught.value.message


def test_package_failures_have_hints(forge: Forge) -> None:
    def image(what: str) -> Image:
        return Image.from_debian_base("3.11", name=forge.name(what), registry=forge.registry)

    with pytest.raises(BuildError) as caught:
        forge.build_one(image("absent").with_pip_packages("imagebuilder-has-no-such-package"))
    assert "layer 1, pip packages" in caught.value.message
    assert "index_url" in (caught.value.hint or "")
    with pytest.raises(BuildError) as caught:
        forge.build_one(image("absent").with_apt_packages("no-such-debian-package"))
    assert "packages.debian.org" in (caught.value.hint or "")
    with pytest.raises(BuildError) as caught:
        forge.build_one(image("absent").with_pip_packages("six==1.16.0", "six<1"))
    assert "contradict" in (caught.value.hint or "")
