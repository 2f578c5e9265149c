"""The labels by which a pushed image tells what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from imagebuilder.identity.identifier import Identity
from imagebuilder.sources.materials import Materials
from imagebuilder.spec.image import LABEL_PREFIX, Image

IDENTIFIER = f"{LABEL_PREFIX}identifier"
EPOCH = f"{LABEL_PREFIX}epoch"
LAYERS = f"{LABEL_PREFIX}layers"
FILES = f"{LABEL_PREFIX}files"
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


def record(image: Image, identity: Identity, materials: Materials) -> Recorded:
    """Put together what an image's labels will say; nothing in it depends on where files are on this machine."""
    kinds = (image.base.kind, *(layer.kind for layer in image.layers))
    found = tuple(
        {path: _short(content) for path, content in material.contents()} if material else {}
        for material in (materials.base, *materials.layers)
    )
    return Recorded(identity.identifier, identity.epoch, tuple(zip(kinds, identity.parts, strict=True)), found)


def to_labels(recorded: Recorded) -> tuple[tuple[str, str], ...]:
    """Write the labels, in the order of their names."""
    labels = {
        IDENTIFIER: recorded.identifier,
        EPOCH: str(recorded.epoch),
        LAYERS: _json(recorded.parts),
    }
    files = _json({str(number): files for number, files in enumerate(recorded.files) if files})
    if len(files) <= _FILES_LIMIT:
        labels[FILES] = files
    return tuple(sorted(labels.items()))


def from_labels(labels: Mapping[str, str]) -> Recorded | None:
    """Read the labels of an image; None where it carries none that this version understands."""
    try:
        parts = tuple((str(kind), str(digest)) for kind, digest in json.loads(labels[LAYERS]))
        recorded = json.loads(labels[FILES]) if FILES in labels else None
        files = tuple(
            None if recorded is None else dict(recorded.get(str(number), {})) for number in range(len(parts))
        )
        return Recorded(labels[IDENTIFIER], int(labels[EPOCH]), parts, files)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _short(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:10]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=True)
