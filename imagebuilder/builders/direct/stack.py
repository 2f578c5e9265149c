"""The layers of a set of wheels, and those of their bytecode: found on this disk, or made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imagebuilder.cache.kinds import IMAGES, LAYERS
from imagebuilder.layers import LayerCache, Pipeline, stack_key
from imagebuilder.registry import OCILayout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from imagebuilder.layers import Compiler, InstallTarget, Layer, WheelFile
    from imagebuilder.packages import LockedFile
    from imagebuilder.registry import ContentStore, Descriptor


class Stack:
    """The layers of a set of wheels, and those of their bytecode."""

    def __init__(
        self,
        cache_dir: Path,
        files: list[LockedFile],
        target: InstallTarget,
        *,
        budget: int,
        compiler: Compiler | None,
        check: Callable[[], None],
        made: Callable[[ContentStore, Descriptor], None] | None,
    ) -> None:
        self._images = IMAGES.at(cache_dir)
        self._cache = LayerCache(LAYERS.at(cache_dir))
        self._target = target
        self.budget = budget
        self.compiler = compiler
        self._check = check
        self._made = made
        digests = [file.key for file in files]
        self._keys = [stack_key(digests, target, budget=budget)]
        if compiler is not None:
            self._keys.append(stack_key(digests, target, budget=budget, codec=compiler.codec))

    def known(self) -> list[Layer] | None:
        """The layers, if all are on this disk; no wheel is needed then.

        Their digests are not looked at: whoever reads them, to push or to write them elsewhere, verifies them.
        """
        layers: list[Layer] = []
        for key in self._keys:
            found = self._cache.get_stack(key)
            if found is None or not all(map(self._is_there, found)):
                return None
            layers += found
        return layers

    def make(self, fetch: Callable[[Callable[[WheelFile], None]], list[WheelFile]]) -> list[Layer]:
        """Write the layers; `fetch` tells what it is given of each wheel as it arrives, and returns all."""
        cache = self._cache
        with Pipeline(
            self._target,
            self._images,
            cache=cache,
            budget=self.budget,
            compiler=self.compiler,
            check=self._check,
            made=self._tell,
        ) as pipeline:
            layers, bytecode = pipeline.finish(fetch(pipeline.add))
        for key, made in zip(self._keys, (layers, bytecode), strict=False):
            cache.put_stack(key, made)
        return [*layers, *bytecode]

    def _tell(self, layer: Layer) -> None:
        if self._made is not None:
            self._made(OCILayout(self._images), layer.descriptor)

    def _is_there(self, layer: Layer) -> bool:
        path = self._images / "blobs" / "sha256" / layer.descriptor.digest.removeprefix("sha256:")
        try:
            os.utime(path)  # what was used last is pruned last
            return path.stat().st_size == layer.descriptor.size
        except OSError:
            return False
