"""Layers of files that many images have: written once, and found again by what they hold."""

from __future__ import annotations

import hashlib
from threading import Lock
from typing import TYPE_CHECKING

from imagebuilder.cache.kinds import IMAGES, LAYERS
from imagebuilder.layers.layer_cache import LAYOUT_VERSION, LayerCache
from imagebuilder.registry import OCILayout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from imagebuilder.layers import Layer, TarEntry


class Remembered:
    """Which layers are below a cache folder."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache = LayerCache(LAYERS.at(cache_dir))
        self._store = OCILayout(IMAGES.at(cache_dir))
        self._making = Lock()

    def knows(self, contents: str, codec: str) -> bool:
        """Whether there is a layer of these contents, wherever they lie in it."""
        layer = self._cache.get(_key("contents", codec, contents))
        return layer is not None and self._is_there(layer)

    def layer(
        self,
        contents: str,
        entries: Iterable[TarEntry],
        owner: tuple[int, int],
        codec: str,
        make: Callable[[], Layer],
    ) -> Layer:
        """The layer of these entries, made only where it is not there; `contents` differs where theirs do.

        One is made at a time: who asks for the same one meanwhile waits for it.
        Its digest is not looked at: whoever reads it, to push or to write it elsewhere, verifies it.
        """
        rows = [(one.path, one.kind.value, one.mode, one.size, one.link, one.owner) for one in entries]
        key = _key("files", rows, owner, codec, contents)
        with self._making:
            layer = self._cache.get(key)
            if layer is None or not self._is_there(layer):
                layer = make()
                self._cache.put(key, layer)
            if not self.knows(contents, codec):
                self._cache.put(_key("contents", codec, contents), layer)
            return layer

    def _is_there(self, layer: Layer) -> bool:
        try:
            return self._store.path(layer.descriptor.digest).stat().st_size == layer.descriptor.size
        except OSError:
            return False


def _key(*parts: object) -> str:
    return hashlib.sha256(repr((LAYOUT_VERSION, *parts)).encode()).hexdigest()
