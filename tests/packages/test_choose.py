from __future__ import annotations

import itertools

import pytest

from imagebuilder.errors import SourceError
from imagebuilder.packages import NeedsBuild, PythonTarget, choose
from imagebuilder.packages.locked import LockedFile, LockedPackage

from .conftest import ARM64, target

SDIST = LockedFile("thing-1.0.tar.gz", "0" * 64, url="https://h.example/thing-1.0.tar.gz")


def package(*tags: str, sdist: LockedFile | None = SDIST) -> LockedPackage:
    wheels = tuple(
        LockedFile(f"thing-1.0-{tag}.whl", f"{number:064x}", url=f"https://h.example/thing-1.0-{tag}.whl")
        for number, tag in enumerate(tags)
    )
    return LockedPackage("thing", "1.0", "index", wheels, sdist)


def test_the_best_tag_wins_in_whatever_order_wheels_are_listed() -> None:
    tags = (
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp38-abi3-manylinux_2_28_x86_64",
        "py3-none-any",
    )
    for given in itertools.permutations(tags):
        chosen = choose(package(*given), target())
        assert isinstance(chosen, LockedFile)
        assert chosen.name == f"thing-1.0-{tags[0]}.whl"


def test_of_two_builds_the_later_one_wins() -> None:
    names = ("thing-1.0-py3-none-any.whl", "thing-1.0-2-py3-none-any.whl", "thing-1.0-10-py3-none-any.whl")
    wheels = tuple(LockedFile(name, "1" * 64) for name in names)
    for given in itertools.permutations(wheels):
        chosen = choose(LockedPackage("thing", "1.0", "index", given), target())
        assert isinstance(chosen, LockedFile)
        assert chosen.name == "thing-1.0-10-py3-none-any.whl"


@pytest.mark.parametrize(
    ("tags", "at", "reason"),
    [
        ((), target(), "it has no wheel for Python 3.11 on linux/amd64 with glibc 2.36, only its source"),
        (
            ("cp311-cp311-manylinux_2_39_x86_64", "cp311-cp311-manylinux_2_38_x86_64"),
            target(),
            "its wheels need glibc 2.38 or newer, and the base has 2.36",
        ),
        (
            ("cp39-cp39-manylinux_2_17_x86_64", "cp310-cp310-manylinux_2_17_x86_64"),
            target(),
            "its wheels for linux/amd64 are for Python 3.9 and 3.10, not for Python 3.11",
        ),
        (
            ("cp311-cp311-win_amd64", "cp311-cp311-macosx_11_0_arm64", "cp311-cp311-manylinux_2_17_x86_64"),
            target(platform=ARM64),
            "it has no wheel for linux/arm64, only for Linux on x86_64, Windows and macOS",
        ),
        (
            ("cp311-cp311-manylinux2014_x86_64",),
            target(musl=(1, 2)),
            "its wheels for linux/amd64 need glibc, and the base has musl 1.2",
        ),
        (
            ("cp311-cp311-musllinux_1_1_x86_64",),
            target(),
            "its wheels for linux/amd64 need musl, and the base has glibc 2.36",
        ),
    ],
)
def test_why_no_wheel_fits(tags: tuple[str, ...], at: PythonTarget, reason: str) -> None:
    found = choose(package(*tags), at)
    assert isinstance(found, NeedsBuild)
    assert found.reason == reason
    assert found.is_possible
    assert str(found) == f"thing 1.0: {reason}"


def test_what_has_no_source_cannot_be_built() -> None:
    found = choose(package("cp39-cp39-win_amd64", sdist=None), target())
    assert isinstance(found, NeedsBuild)
    assert not found.is_possible


@pytest.mark.parametrize("source", ["directory", "vcs"])
def test_projects_and_repositories_are_built(source: str) -> None:
    found = choose(LockedPackage("thing", None, source, place="local-1", origin="git+https://h/x@1"), target())  # type: ignore[arg-type]
    assert isinstance(found, NeedsBuild)
    assert found.is_possible


def test_a_wheel_of_another_package_is_refused() -> None:
    wheel = LockedFile("other-1.0-py3-none-any.whl", "1" * 64)
    with pytest.raises(SourceError, match="another package"):
        choose(LockedPackage("thing", "1.0", "index", (wheel,)), target())
