"""How `ensure` goes about it, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagebuilder.identity.identified import Identified
    from imagebuilder.outputs.output import Published


@dataclass(frozen=True)
class Result:
    """What became of one image."""

    name: str
    uri: str
    identifier: str
    digest: str | None
    platforms: tuple[str, ...]
    built: bool
    pushed: bool
    bytes_uploaded: int
    seconds: float
    would_build: bool = False


@dataclass(frozen=True)
class Options:
    """How `ensure` goes about it; `build_unknown` builds what a registry could not be asked about."""

    force: bool = False
    no_cache: bool = False
    dry_run: bool = False
    build_unknown: bool = False
    parallel: int = 2
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()


def result_of(item: Identified, published: Published | None, *, built: bool, seconds: float) -> Result:
    """What is told of an image; what was pushed of it is not counted here."""
    return Result(
        name=item.title,
        uri=item.uri,
        identifier=item.identity.identifier,
        digest=published.digest if published else None,
        platforms=published.platforms if published else tuple(map(str, item.image.platforms)),
        built=built,
        pushed=False,
        bytes_uploaded=0,
        seconds=seconds,
    )
