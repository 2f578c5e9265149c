"""What must run, what is only files, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from imagebuilder import Image, Secret
from imagebuilder.identity.recipe import DEFAULT_EPOCH, recipe
from imagebuilder.identity.resolver import Resolver
from imagebuilder.plan.lower import lower
from imagebuilder.plan.segments import Segments, segments
from imagebuilder.sources import Sources

if TYPE_CHECKING:
    from pathlib import Path

DEBIAN = Image.from_debian_base("3.11", install_sdk=False, name="app")
FOREIGN = Image.from_base("debian:bookworm-slim", name="app")
APT = "it runs apt-get install"
LATE = "it adds to packages that were installed before a layer that must run"


def divided(image: Image) -> Segments | None:
    item = Resolver(recipe(DEFAULT_EPOCH), Sources).identify([("app", image)])[0]
    return segments(lower(item.image, item.identity, item.materials, recipe(DEFAULT_EPOCH)))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (DEBIAN, Segments(0, ())),
        (FOREIGN.with_env_vars({"A": "1"}).with_user("x").with_workdir("/y"), Segments(0, ())),
        (DEBIAN.with_pip_packages("numpy").with_pip_packages("pandas"), Segments(0, ())),
        (DEBIAN.with_apt_packages("git"), Segments(1, ((1, APT),))),
        (DEBIAN.with_apt_packages("git").with_pip_packages("numpy"), Segments(1, ((1, APT),))),
        (DEBIAN.with_env_vars({"A": "1"}).with_commands(["make all install"]), Segments(2, ((2, "it runs make all"),))),
        (
            DEBIAN.with_pip_packages("numpy").with_apt_packages("git").with_env_vars({"A": "1"}),
            Segments(2, ((2, APT),)),
        ),
        (
            DEBIAN.with_pip_packages("a").with_apt_packages("git").with_pip_packages("b").with_env_vars({"A": "1"}),
            Segments(3, ((2, APT), (3, LATE))),
        ),
        (
            DEBIAN.with_apt_packages("git").with_pip_packages("a").with_commands(["x"]).with_pip_packages("b"),
            Segments(4, ((1, APT), (3, "it runs x"), (4, LATE))),
        ),
        (
            DEBIAN.with_pip_packages("a", secret_mounts=[Secret("token", mount="/run/secrets/token")]),
            Segments(1, ((1, "an installer reads a secret as a file of the image"),)),
        ),
    ],
    ids=lambda value: None,
)
def test_how_layers_are_divided(image: Image, expected: Segments) -> None:
    assert divided(image) == expected


def test_what_was_refused_is_in_the_part_that_runs() -> None:
    image = DEBIAN.with_pip_packages("a").with_env_vars({"A": "1"}).with_pip_packages("b").with_env_vars({"B": "1"})
    item = Resolver(recipe(DEFAULT_EPOCH), Sources).identify([("app", image)])[0]
    plan = lower(item.image, item.identity, item.materials, recipe(DEFAULT_EPOCH))
    assert segments(plan, {1: "odd"}) == Segments(3, ((1, "odd"), (3, LATE)))
    assert segments(plan, {0: "odd"}) == segments(plan, {1: "odd"})
    assert segments(plan, {4: "odd"}) == Segments(4, ((4, "odd"),))


def test_poetry_runs_and_what_follows_does_not(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n')
    (tmp_path / "poetry.lock").write_text("")
    image = DEBIAN.with_poetry_project(tmp_path / "pyproject.toml", tmp_path / "poetry.lock").with_env_vars({"A": "1"})
    assert divided(image) == Segments(1, ((1, "Poetry itself installs it"),))


def test_a_dockerfile_is_not_divided(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert divided(Image.from_dockerfile(tmp_path / "Dockerfile", name="app")) is None
