"""Which wheel was built of which content; a broken or foreign note is as good as none."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from imagebuilder.cache.notes import read_note, write_note
from imagebuilder.packages import LockedFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_VERSION: Final = b"imagebuilder built wheel 1\n"  # another number with every change to how wheels are built
_LARGEST: Final = 4096


def wheel_key(parts: Sequence[str]) -> str:
    """The SHA-256, in hex, of all that decides a wheel, every part prefixed by its length."""
    hasher = hashlib.sha256(_VERSION)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        hasher.update(b"%d\n%s" % (len(data), data))
    return hasher.hexdigest()


class BuiltWheels:
    """Names and digests by key, one note each below a folder; the wheels themselves are elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, key: str) -> LockedFile | None:
        """The wheel that was built."""
        with suppress(ValueError, KeyError, TypeError):
            data = json.loads(read_note(self._folder / f"{key}.json", _LARGEST) or b"")
            return LockedFile(str(data["name"]), str(data["sha256"]), int(data["size"]))
        return None

    def remember(self, key: str, wheel: LockedFile) -> None:
        """Note what a wheel is; what cannot be noted is built again."""
        said = {"name": wheel.name, "sha256": wheel.sha256, "size": wheel.size}
        write_note(self._folder / f"{key}.json", json.dumps(said).encode())
