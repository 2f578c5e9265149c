"""Which lock holds for which image of a command."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imagebuilder.lock.pins import ImageLock


@dataclass(frozen=True)
class Held:
    """The lock file of an image, and the entries that may be the image's: none where the file has none."""

    path: Path
    entries: tuple[ImageLock, ...] = ()
    exists: bool = True


@dataclass(frozen=True)
class Locks:
    """The locks of images by their titles; `required` where an image that none holds is an error."""

    by_title: Mapping[str, Held] = field(default_factory=dict)
    required: bool = False
