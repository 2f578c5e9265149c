"""Which prefix images are in the store of this machine, whole, and where they were published."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.base import local_bases
from imagebuilder.cache.in_use import touch
from imagebuilder.cache.kinds import IMAGES, PREFIXES
from imagebuilder.cache.notes import read_note, write_note
from imagebuilder.errors import ImageBuilderError
from imagebuilder.registry import Descriptor, OCILayout

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.port import BuildRequest, Prefix

_LARGEST_NOTE = 64 << 10


@dataclass(frozen=True)
class Kept:
    """A prefix image on this disk: its root, its base for each platform, and where it was pushed last, if anywhere."""

    root: Descriptor
    bases: list[Base]
    published: str = ""


class PrefixMemory:
    """Notes below the cache's folder; `store` has the images."""

    def __init__(self, cache_dir: Path) -> None:
        self.store = OCILayout(IMAGES.at(cache_dir))
        self._folder = PREFIXES.at(cache_dir)

    def recall(self, prefix: Prefix, request: BuildRequest) -> Kept | None:
        """The prefix for each platform; None where a part of it is not there any more."""
        with suppress(OSError, ValueError, KeyError, TypeError, ImageBuilderError):
            note = json.loads(read_note(self._path(prefix, request), _LARGEST_NOTE) or b"")
            root = Descriptor.parse(note)
            bases = local_bases(self.store, root, f"the steps up to {prefix.plan.titles[-1]}", request.platforms)
            blobs = [(self.store.path(blob.digest), blob.size) for base in bases for blob in base.manifest.blobs]
            if all(path.stat().st_size == size for path, size in blobs):
                touch([self.store.path(root.digest), *(path for path, _ in blobs)])
                touch(self.store.path(base.manifest.digest) for base in bases)
                return Kept(root, bases, str(note.get("published", "")))
        return None

    def remember(self, prefix: Prefix, request: BuildRequest, root: Descriptor, *, published: bool = False) -> None:
        """Note a prefix; what cannot be noted is built, or read from the registry, again."""
        note = root.to_json() | ({"published": str(prefix.reference)} if published else {})
        write_note(self._path(prefix, request), json.dumps(note).encode())

    def _path(self, prefix: Prefix, request: BuildRequest) -> Path:
        platforms = "+".join(str(platform).replace("/", "-") for platform in request.platforms)
        return self._folder / f"{prefix.identifier}-{platforms}.json"
