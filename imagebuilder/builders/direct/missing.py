"""Packages that no wheel fits, and the wheels that are built of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.packages import NeedsBuild, noted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from imagebuilder.packages import LockedFile, LockedPackage, Resolution
    from imagebuilder.spec.credential import Index

    Builds = Callable[[Sequence[LockedPackage], Iterable[Index]], list[LockedFile]]


def missing_of(chosen: list[LockedFile | NeedsBuild], builds: Builds | None) -> list[NeedsBuild]:
    """What must be built.

    Raises:
        NotDirectError: it cannot be.
    """
    missing = [found for found in chosen if isinstance(found, NeedsBuild)]
    hopeless = [found for found in missing if builds is None or not found.is_possible]
    if hopeless:
        raise NotDirectError("; ".join(map(str, hopeless)), layer=max(found.package.layer for found in hopeless))
    return missing


def wheels_of(resolution: Resolution, chosen: list[LockedFile | NeedsBuild], builds: Builds | None) -> list[LockedFile]:
    """A wheel of every package, built where there is none.

    Raises:
        NotDirectError: as `missing_of`.
    """
    missing = missing_of(chosen, builds)
    made = iter(builds([found.package for found in missing], resolution.logins) if missing and builds else ())
    files = [next(made) if isinstance(found, NeedsBuild) else found for found in chosen]
    return [noted(file, package) for file, package in zip(files, resolution.packages, strict=True)]
