"""The labels by which a pushed image tells what it was made from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.spec.layers import LABEL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.identity.identifier import Identity
    from imagebuilder.sources.materials import Materials
    from imagebuilder.spec.image import Image

IDENTIFIER = f"{LABEL_PREFIX}identifier"
EPOCH = f"{LABEL_PREFIX}epoch"
PLATFORMS = f"{LABEL_PREFIX}platforms"
LAYERS = f"{LABEL_PREFIX}layers"
FILES = f"{LABEL_PREFIX}files"
LOCK = f"{LABEL_PREFIX}lock"
_FILES_LIMIT = 16_384  # characters; a config blob is fetched to answer "why", and stays small


@dataclass(frozen=True)
class Recorded:
    """What an image was made from: kind and digest of the base and each layer, and each part's files.

    `files` is None for a part whose files were too many to record.
    """

    identifier: str
    epoch: int
    parts: tuple[tuple[str, str], ...]
    files: tuple[dict[str, str] | None, ...]
    platforms: tuple[str, ...] = ()
    lock: str | None = None


def record(image: Image, identity: Identity, materials: Materials) -> Recorded:
    """Put together what an image's labels will say; nothing in it depends on where files are on this machine."""
    kinds = (image.base.kind, *(layer.kind for layer in image.layers))
    found = tuple(
        {path: _short(content) for path, content in material.contents()} if material else {}
        for material in (materials.base, *materials.layers)
    )
    parts = tuple(zip(kinds, identity.parts, strict=True))
    platforms = tuple(map(str, sorted(image.platforms)))
    return Recorded(identity.identifier, identity.epoch, parts, found, platforms, identity.lock)


def to_labels(recorded: Recorded) -> tuple[tuple[str, str], ...]:
    """Write the labels, in the order of their names."""
    labels = {
        IDENTIFIER: recorded.identifier,
        EPOCH: str(recorded.epoch),
        PLATFORMS: ",".join(recorded.platforms),
        LAYERS: _json(recorded.parts),
        FILES: _json(_within_limit(recorded.files)),
        **({LOCK: recorded.lock} if recorded.lock is not None else {}),
    }
    return tuple(sorted(labels.items()))


def _within_limit(files: tuple[dict[str, str] | None, ...]) -> dict[str, dict[str, str] | None]:
    """The files of each part that has some; None for those of the largest parts, once the limit is reached."""
    kept: dict[str, dict[str, str] | None] = {}
    left = _FILES_LIMIT
    for size, number in sorted((len(_json(part)), number) for number, part in enumerate(files) if part != {}):
        part = files[number] if size <= left else None
        kept[str(number)] = part
        left -= size if part is not None else 0
    return kept


def from_labels(labels: Mapping[str, str]) -> Recorded | None:
    """Read the labels of an image; None where it carries none that this version understands."""
    try:
        parts = tuple((str(kind), str(digest)) for kind, digest in json.loads(labels[LAYERS]))
        recorded = json.loads(labels[FILES])
        found = (recorded.get(str(number), {}) for number in range(len(parts)))
        files = tuple(None if part is None else dict(part) for part in found)
        platforms = tuple(filter(None, labels[PLATFORMS].split(",")))
        if not parts:
            return None
        return Recorded(labels[IDENTIFIER], int(labels[EPOCH]), parts, files, platforms, labels.get(LOCK))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _short(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:10]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=True)
