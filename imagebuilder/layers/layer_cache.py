"""Remembers which layer some wheels make, so that they need not be read again: metadata, never content."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.cache.notes import read_note, write_note
from imagebuilder.layers.layer import MEDIA_TYPE, Layer
from imagebuilder.registry.descriptor import Descriptor, is_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.layers.target import InstallTarget

LAYOUT_VERSION: Final = 2  # raise it with every change to the bytes of a layer
CODEC: Final = "splice-1"
_LARGEST: Final = 1 << 20


def install_key(sha256: str, direct_url: str = "") -> str:
    """What installing a wheel depends on, in hex: its SHA-256, and the direct_url.json that is put beside it."""
    return hashlib.sha256(f"{sha256}\n{direct_url}".encode()).hexdigest() if direct_url else sha256


def layer_key(wheels: Sequence[str], target: InstallTarget, *, codec: str = CODEC) -> str:
    """The key, in hex, of the layer that wheels with these `install_key`s, in this order, make."""
    parts = {
        "version": LAYOUT_VERSION,
        "wheels": list(wheels),
        "prefix": target.prefix,
        "python": list(target.python),
        "owner": list(target.owner),
        "mtime": target.mtime,
        "codec": codec,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"imagebuilder layer\n" + text.encode()).hexdigest()


def stack_key(wheels: Sequence[str], target: InstallTarget, *, codec: str = CODEC, budget: int) -> str:
    """The key, in hex, of all the layers that wheels with these `install_key`s, in any order, make together."""
    return layer_key(sorted(wheels), target, codec=f"stack of {budget}: {codec}")


class LayerCache:
    """One small file per key below a folder; safe among processes, since each is replaced whole.

    A stack is the list of layers that a set of wheels makes: knowing it, no wheel needs to be opened.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def get(self, key: str) -> Layer | None:
        """What is remembered; None as well where the note is damaged."""
        layers = self.get_stack(key)
        return layers[0] if layers and len(layers) == 1 else None

    def put(self, key: str, layer: Layer) -> None:
        """Remember a layer; a disk that is full or read-only only makes the next build slower."""
        self.put_stack(key, [layer])

    def get_stack(self, key: str) -> list[Layer] | None:
        """The layers of a set of wheels; None where they are not known."""
        try:
            note = json.loads(read_note(self._path(key), _LARGEST) or b"")
            return [_layer(item) for item in note["layers"]] if note["key"] == key else None
        except (ValueError, KeyError, TypeError):
            return None

    def put_stack(self, key: str, layers: Sequence[Layer]) -> None:
        """Remember the layers of a set of wheels; as `put`."""
        note = {
            "key": key,
            "layers": [
                {
                    "digest": layer.descriptor.digest,
                    "size": layer.descriptor.size,
                    "diff_id": layer.diff_id,
                    "what": layer.what,
                }
                for layer in layers
            ],
        }
        write_note(self._path(key), json.dumps(note).encode())

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _layer(item: dict[str, object]) -> Layer:
    digest, size, diff_id, what = item["digest"], item["size"], item["diff_id"], item["what"]
    if not isinstance(digest, str) or not isinstance(diff_id, str) or not isinstance(what, str):
        raise TypeError("a note of a layer")
    if not is_digest(digest) or not is_digest(diff_id) or not isinstance(size, int) or size <= 0:
        raise ValueError("a note of a layer")
    return Layer(Descriptor(MEDIA_TYPE, digest, size), diff_id, what)


def blob_is_there(blobs: Path, layer: Layer) -> bool:
    """Whether a remembered layer's blob is in a store, and is what its digest says."""
    path = blobs / layer.descriptor.digest.removeprefix("sha256:")
    try:
        if path.stat().st_size != layer.descriptor.size:
            return False
        hasher = hashlib.sha256()
        with path.open("rb") as file:
            while data := file.read(1 << 20):
                hasher.update(data)
            os.utime(file.fileno())  # what was used last is pruned last
    except OSError:
        return False
    return f"sha256:{hasher.hexdigest()}" == layer.descriptor.digest
