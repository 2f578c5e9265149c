"""Wheels that the user keeps beside a spec: read through before anything relies on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.layers import WheelFile
from imagebuilder.layers.install import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imagebuilder.layers import InstallTarget
    from imagebuilder.packages import LockedFile


def check_own(files: Iterable[LockedFile], target: InstallTarget, check: Callable[[], None] = lambda: None) -> None:
    """See that every wheel on this disk can be installed, down to the last byte; those of an index are not asked for.

    Raises:
        SourceError: one cannot be read, is damaged, or is made to do harm.
    """
    for file in files:
        if file.location is None:
            continue
        wheel = WheelFile(file.location, sha256=file.sha256)
        install(wheel, target)
        for member in wheel.files.values():
            check()
            for _ in wheel.pieces(member):
                pass
