from __future__ import annotations

import platform as machine
import subprocess
import sys

import pytest
from packaging import tags
from packaging.markers import default_environment

from imagebuilder.errors import SpecError
from imagebuilder.packages import PythonTarget
from imagebuilder.spec.platform import Platform

from .conftest import AMD64, ARM64, target


def own_target() -> PythonTarget:
    name, version = machine.libc_ver()
    if sys.platform != "linux" or name != "glibc" or sys.implementation.name != "cpython":
        pytest.skip("compares with this machine's CPython on glibc")
    major, minor = version.split(".")[:2]
    own = Platform.of("linux", machine.machine())
    return PythonTarget(sys.version_info[:3], own, glibc=(int(major), int(minor)))


def test_the_tags_of_this_interpreter_are_those_that_packaging_finds_in_their_order() -> None:
    own = own_target()
    assert list(own.ranks) == list(tags.sys_tags())
    assert sorted(own.ranks.values()) == list(own.ranks.values())


def test_the_markers_of_this_interpreter_are_those_that_packaging_finds() -> None:
    own, found = own_target().environment, default_environment()
    unknown = {"platform_release", "platform_version"}
    assert {k: v for k, v in own.items() if k not in unknown} == {k: v for k, v in found.items() if k not in unknown}


def test_markers_of_another_platform_and_python() -> None:
    environment = target((3, 13, 2), ARM64).environment
    assert environment["platform_machine"] == "aarch64"
    assert environment["python_full_version"] == "3.13.2"
    assert environment["sys_platform"] == "linux"


@pytest.mark.parametrize(
    ("given", "first", "last", "absent"),
    [
        (target(), "linux_x86_64", "manylinux1_x86_64", "manylinux_2_37_x86_64"),
        (target(platform=ARM64), "linux_aarch64", "manylinux2014_aarch64", "manylinux_2_16_aarch64"),
        (target(musl=(1, 2)), "linux_x86_64", "musllinux_1_0_x86_64", "manylinux_2_17_x86_64"),
        (target(platform=Platform.parse("linux/arm/v7")), "linux_armv7l", "manylinux2014_armv7l", "manylinux1_armv7l"),
    ],
)
def test_platform_tags(given: PythonTarget, first: str, last: str, absent: str) -> None:
    assert given.platforms[0] == first
    assert given.platforms[-1] == last
    assert absent not in given.platforms


def test_the_old_names_of_manylinux_stand_behind_their_new_ones() -> None:
    platforms = target().platforms
    for old, new in (("manylinux2014", "2_17"), ("manylinux2010", "2_12"), ("manylinux1", "2_5")):
        assert platforms.index(f"{old}_x86_64") == platforms.index(f"manylinux_{new}_x86_64") + 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (target(), "x86_64-manylinux_2_36"),
        (target(glibc=(2, 41)), "x86_64-manylinux_2_40"),
        (target(glibc=(2, 30)), "x86_64-manylinux_2_28"),
        (target(glibc=(2, 12)), None),
        (target(platform=ARM64, musl=(1, 2)), "aarch64-unknown-linux-musl"),
        (target(platform=Platform.parse("linux/s390x")), None),
    ],
)
def test_uv_platform(given: PythonTarget, expected: str | None) -> None:
    assert given.uv_platform == expected


def test_a_target_has_one_c_library_and_a_platform_with_wheels() -> None:
    with pytest.raises(SpecError, match="either glibc or musl"):
        PythonTarget((3, 11), AMD64)
    with pytest.raises(SpecError, match="either glibc or musl"):
        PythonTarget((3, 11), AMD64, (2, 36), (1, 2))
    with pytest.raises(SpecError, match="windows/amd64"):
        PythonTarget((3, 11), Platform.parse("windows/amd64"), (2, 36))


def test_importing_the_package_loads_nothing_of_an_extra() -> None:
    code = "import sys, imagebuilder.packages; print([m for m in ('packaging', 'uv', 'ssl') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
