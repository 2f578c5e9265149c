"""What makes a lock stale, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from imagebuilder import Image, Secret
from imagebuilder.identity.identifier import identify
from imagebuilder.identity.inputs import base_of, can_be_locked, inputs, moved, steps_of
from imagebuilder.identity.recipe import recipe
from imagebuilder.lock.pins import ImageLock, PlatformPins
from imagebuilder.sources import Sources
from imagebuilder.sources.read import read_materials

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.sources.materials import Materials

RECIPE = recipe()
BASE = Image.from_debian_base("3.11")
DIGEST = f"sha256:{'1' * 64}"


def materials(image: Image) -> Materials:
    with Sources() as sources:
        return read_materials(image, sources, RECIPE.python_for)


def locked(image: Image) -> ImageLock:
    found = materials(image)
    platforms = tuple(PlatformPins(str(platform), DIGEST) for platform in image.platforms)
    return ImageLock("s", "n", base_of(image, found, RECIPE), DIGEST, inputs(image, found, RECIPE), platforms)


def stale(before: Image, after: Image) -> list[str]:
    return moved(locked(before), inputs(after, materials(after), RECIPE), after.platforms)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text("1\n")
    (tmp_path / "requirements.txt").write_text("numpy==1.0\n")


def test_what_decides_nothing(tmp_path: Path) -> None:
    image = BASE.with_pip_packages("numpy").with_source_folder("code")
    entry = locked(image)
    (tmp_path / "code" / "main.py").write_text("2\n")
    more = (
        BASE.with_env_vars({"A": "b"})
        .with_apt_packages("git")
        .with_pip_packages("numpy")
        .with_source_folder("code")
        .with_workdir("/x")
        .clone(name="other", registry="ghcr.io/team")
    )
    assert moved(entry, inputs(more, materials(more), RECIPE), more.platforms) == []


def test_what_moved_is_told(tmp_path: Path) -> None:
    pip = BASE.with_pip_packages("numpy", "scipy==1")
    assert stale(pip, BASE.with_env_vars({"A": "b"}).with_pip_packages("numpy", "scipy==2", "six")) == [
        "layer 2, pip packages numpy scipy==2 six: scipy==1 became scipy==2, added six"
    ]
    assert stale(pip, pip.with_pip_packages("six")) == ["layer 2, pip packages six: added"]
    assert stale(pip.with_pip_packages("six"), pip) == ["pip packages six: removed"]
    assert stale(pip, Image.from_debian_base("3.12").with_pip_packages("numpy", "scipy==1")) == [
        "debian base with python 3.12: it was debian base with python 3.11"
    ]
    assert stale(pip, pip.clone(platform=["linux/amd64", "linux/arm64"])) == ["platform linux/arm64: not in the lock"]
    assert stale(pip, BASE.with_pip_packages("numpy", "scipy==1", index_url="https://other/simple")) == [
        "layer 1, pip packages numpy scipy==1: its files or options changed"
    ]
    one, two = BASE.with_pip_packages("a").with_pip_packages("b"), BASE.with_pip_packages("b").with_pip_packages("a")
    assert stale(one, two) == ["the order of its Python layers changed"]
    image = BASE.with_requirements("requirements.txt")
    entry = locked(image)
    (tmp_path / "requirements.txt").write_text("numpy==2.0\n# a comment\n")
    (line,) = moved(entry, inputs(image, materials(image), RECIPE), image.platforms)
    assert line.startswith("layer 1, requirements")
    assert line.endswith("numpy==1.0 became numpy==2.0")


def test_the_sources_of_a_project_with_a_lock_of_its_own_do_not_count(golden: object, tmp_path: Path) -> None:
    golden.write_tree(tmp_path)  # type: ignore[attr-defined]
    image = BASE.clone().with_uv_project("uv/pyproject.toml", project_install_mode="install_project")
    entry = locked(image)
    (tmp_path / "uv" / "app.py").write_text("x = 2\n")
    assert moved(entry, inputs(image, materials(image), RECIPE), image.platforms) == []
    lock = tmp_path / "uv" / "uv.lock"
    lock.write_text(lock.read_text().replace('version = "1.0"', 'version = "1.1"'))
    assert len(moved(entry, inputs(image, materials(image), RECIPE), image.platforms)) == 1


def test_no_credential_is_an_input() -> None:
    image = BASE.with_pip_packages(
        "numpy",
        "own @ https://host/own-1.0-py3-none-any.whl",
        index_url="https://user:hunter2hunter2@index/simple",
        secret_mounts=[Secret("hunter", as_env_var="UV_INDEX_X_PASSWORD")],
    )
    assert "hunter2hunter2" not in repr(inputs(image, materials(image), RECIPE))


def test_the_identifier_has_the_lock_in_it() -> None:
    found = materials(BASE)
    plain, one, two = (identify(BASE, found, RECIPE, lock) for lock in (None, "a", "b"))
    assert len({plain.identifier, one.identifier, two.identifier}) == 3
    assert plain.parts == one.parts == two.parts
    assert identify(BASE, found, RECIPE) == plain


def test_what_can_be_locked(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert can_be_locked(BASE)
    assert can_be_locked(Image.from_base("a/b:1").with_env_vars({"A": "b"}))
    assert not can_be_locked(Image.from_base("a/b:1"))
    assert not can_be_locked(Image.from_dockerfile("Dockerfile"))
    assert steps_of(BASE.with_pip_packages("a").with_apt_packages("b").with_requirements("requirements.txt")) == 2
