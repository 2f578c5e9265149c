"""Packages of a resolution as a lock pins them, one file each, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imagebuilder.lock.pins import PinnedPackage
from imagebuilder.packages.choose import choose
from imagebuilder.packages.locked import LockedPackage, NeedsBuild
from imagebuilder.packages.pylock import parse, to_table
from imagebuilder.sources.toml_text import dump

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imagebuilder.lock.pins import PlatformPins
    from imagebuilder.packages.locked import Resolution
    from imagebuilder.packages.python_step import PythonStep
    from imagebuilder.packages.target import PythonTarget


def to_pins(resolution: Resolution, steps: Sequence[PythonStep], target: PythonTarget) -> tuple[PinnedPackage, ...]:
    """Every package that a layer brought, in the order of layers and names, with the file that fits the target."""
    numbers = {step.number: number for number, step in enumerate(steps, start=1)}
    pinned = [
        PinnedPackage(numbers[package.layer], to_table(_one_file(package, target))) for package in resolution.brought
    ]
    return tuple(sorted(pinned, key=lambda one: (one.step, one.table["name"])))


def from_pins(pins: PlatformPins, where: str) -> tuple[tuple[int, LockedPackage], ...]:
    """The packages of a platform, by the number of their step; `where` names the lock in messages.

    Raises:
        SourceError: they are not what a lock can hold.
    """
    return tuple(_parsed(pins, where))


def _parsed(pins: PlatformPins, where: str) -> Iterator[tuple[int, LockedPackage]]:
    tables = [dict(package.table) for package in pins.packages]
    lock = parse(dump({"lock-version": "1.0", "created-by": "imagebuilder", "packages": tables}), where)
    # Tables are written in their own order.
    yield from zip((package.step for package in pins.packages), lock.packages, strict=True)


def _one_file(package: LockedPackage, target: PythonTarget) -> LockedPackage:
    """The package as it is for the target alone: markers held, its best wheel chosen, its sources where it has none."""
    plain = replace(package, marker="", requires_python="")
    chosen = choose(package, target)
    if isinstance(chosen, NeedsBuild):
        return replace(plain, wheels=()) if package.sdist else plain
    return replace(plain, wheels=(chosen,), sdist=None)
