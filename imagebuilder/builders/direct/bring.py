"""A layer of a shared cache brought to this machine, and held against both its digests."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING, Final

from imagebuilder.builders.direct.base import RemoteStore
from imagebuilder.cache.in_use import touch
from imagebuilder.errors import ImageBuilderError
from imagebuilder.layers import fast_zlib

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.layers.layer import Layer
    from imagebuilder.registry.client import Client
    from imagebuilder.registry.layout import OCILayout
    from imagebuilder.spec.reference import Reference

_PIECE: Final = 1 << 20


def bring(client: Client, repository: Reference, layer: Layer, store: OCILayout) -> str | None:
    """Fetch a layer where it is not here, and unpack it once to see that it is what is said of it.

    Returns what is wrong, None where nothing is.
    """
    descriptor = layer.descriptor
    try:
        if not is_here(layer, store):
            with RemoteStore(client, repository, [descriptor]).open(descriptor.digest) as stream:
                store.add(descriptor, stream)
        return None if _unpacks_to(store.path(descriptor.digest)) == layer.diff_id else "it unpacks to something else"
    except ImageBuilderError as error:
        return error.message
    except OSError as error:
        return str(error)


def is_here(layer: Layer, store: OCILayout) -> bool:
    """Whether a layer is in a store, and so is used from now on; whoever reads it verifies it."""
    path = store.path(layer.descriptor.digest)
    touch([path])
    try:
        return path.stat().st_size == layer.descriptor.size
    except OSError:
        return False


def _unpacks_to(path: Path) -> str:
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as packed, fast_zlib.open_gzip(packed) as file:
            while data := file.read(_PIECE):
                hasher.update(data)
    except (EOFError, gzip.BadGzipFile, *fast_zlib.ERRORS):
        return ""
    return f"sha256:{hasher.hexdigest()}"
