"""Which wheel of a package fits a target best, or why none does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError
from imagebuilder.packages.locked import LockedFile, LockedPackage, NeedsBuild

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.tags import Tag
    from packaging.utils import BuildTag

    from imagebuilder.packages.target import PythonTarget

_LIBC = re.compile(r"(?P<name>manylinux|musllinux)_(?P<major>\d+)_(?P<minor>\d+)_(?P<machine>.+)\Z")
_LEGACY = {"manylinux1_": "manylinux_2_5_", "manylinux2010_": "manylinux_2_12_", "manylinux2014_": "manylinux_2_17_"}
_INTERPRETER = re.compile(r"(?:cp|py)3(\d+)\Z")
_SYSTEMS = {"macosx": "macOS", "win": "Windows", "ios": "iOS", "android": "Android", "emscripten": "Emscripten"}


def choose(package: LockedPackage, target: PythonTarget) -> LockedFile | NeedsBuild:
    """The wheel with the best tag, of several builds the latest (PEP 427, "build number").

    Raises:
        SourceError: a file that is listed as a wheel is none of the package's.
    """
    if package.source == "directory":
        return NeedsBuild(package, "it is a project on this machine, which has no wheel yet")
    if package.source == "vcs":
        return NeedsBuild(package, f"it comes from {package.origin or 'a repository'}, which has no wheels")
    try:
        return _best(package, target) or NeedsBuild(package, _why(package, target))
    except ValueError as error:
        raise SourceError(f"the lock of {package} {error}") from None


def _best(package: LockedPackage, target: PythonTarget) -> LockedFile | None:
    best: tuple[tuple[int, tuple[int, tuple[()] | tuple[int, str]]], LockedFile] | None = None
    for wheel in package.wheels:
        build, tags = wheel_name(wheel.name, package.name)
        fitting = [target.ranks[tag] for tag in tags if tag in target.ranks]
        if fitting:
            # A wheel without a build number sorts before those with one.
            rank = (-min(fitting), (len(build), build))
            if best is None or rank > best[0]:
                best = (rank, wheel)
    return best[1] if best else None


def wheel_name(file_name: str, package: str) -> tuple[BuildTag, frozenset[Tag]]:
    """The build number and tags in a wheel's file name.

    Raises:
        ValueError: it is not a wheel's, or another package's.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    if len(file_name) > 255 or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl", file_name):
        raise ValueError(f"lists {file_name[:200]!r}, which is not the name of a wheel")
    try:
        name, _, build, tags = parse_wheel_filename(file_name)
    except InvalidWheelFilename as error:
        raise ValueError(f"lists {file_name!r}, which is not the name of a wheel: {error}") from None
    if name != package:
        raise ValueError(f"lists {file_name!r}, a wheel of another package")
    return build, tags


def _why(package: LockedPackage, target: PythonTarget) -> str:
    if not package.wheels:
        return f"it has no wheel for {target}, only its source"
    tags = [tag for wheel in package.wheels for tag in wheel_name(wheel.name, package.name)[1]]
    platforms = {*target.platforms, "any"}
    interpreters = {(tag.interpreter, tag.abi) for tag in target.ranks}
    of_python = [tag for tag in tags if (tag.interpreter, tag.abi) in interpreters]
    if not of_python and any(tag.platform in platforms for tag in tags):
        known = _pythons(tag for tag in tags if tag.platform in platforms)
        return f"its wheels for {target.platform} are for {known}, not for Python {target.python}"
    return _why_platform(of_python or tags, target) or f"it has no wheel for {target}"


def _why_platform(tags: list[Tag], target: PythonTarget) -> str | None:
    needs: dict[str, list[tuple[int, int]]] = {}
    for tag in tags:
        platform = tag.platform
        for old, new in _LEGACY.items():
            platform = platform.replace(old, new)
        found = _LIBC.match(platform)
        if found and found["machine"] == target.machine:
            needs.setdefault(found["name"], []).append((int(found["major"]), int(found["minor"])))
    own, other = ("manylinux", "musllinux") if target.glibc else ("musllinux", "manylinux")
    if own in needs:
        libc, has = target.libc.split()
        least = ".".join(map(str, min(needs[own])))
        return f"its wheels need {libc} {least} or newer, and the base has {has}"
    if other in needs:
        libc = "glibc" if target.musl else "musl"
        return f"its wheels for {target.platform} need {libc}, and the base has {target.libc}"
    systems = sorted({_system(tag.platform) for tag in tags if tag.platform != "any"})
    return f"it has no wheel for {target.platform}, only for {_listed(systems)}" if systems else None


def _pythons(tags: Iterable[Tag]) -> str:
    minors = sorted({int(found[1]) for tag in tags if (found := _INTERPRETER.match(tag.interpreter))})
    return "Python " + _listed([f"3.{minor}" for minor in minors]) if minors else "other interpreters"


def _system(platform: str) -> str:
    name = re.split(r"[_\d]", platform, maxsplit=1)[0]
    if name in _SYSTEMS:
        return _SYSTEMS[name]
    machine = platform.rpartition("linux_")[2]
    return f"Linux on {re.sub(r'^[0-9]+_[0-9]+_', '', machine)}"


def _listed(items: list[str]) -> str:
    return " and ".join((", ".join(items[:-1]), items[-1])) if len(items) > 1 else "".join(items)
