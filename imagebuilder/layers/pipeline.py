"""Wheels to layers while other wheels are still on their way."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from imagebuilder.layers.assembly import Plan, spliced_layer
from imagebuilder.layers.bytecode import bytecode_layer
from imagebuilder.layers.install import install
from imagebuilder.layers.packing import BIG, most_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from imagebuilder.layers.bytecode import Compiler
    from imagebuilder.layers.layer import Layer, TarEntry
    from imagebuilder.layers.layer_cache import LayerCache
    from imagebuilder.layers.target import InstallTarget
    from imagebuilder.layers.wheel import WheelFile


class Pipeline:
    """What `assemble` and `assemble_bytecode` make of all wheels, begun with the first; to be used in a `with`.

    A big wheel is taken to have a layer for itself as soon as it is there. Where it turns out not to, since its files
    collide with another's, that layer was made in vain. `made` is told of every layer that is finished, from several
    threads. `check` raises where nobody wants the layers any more.
    """

    def __init__(
        self,
        target: InstallTarget,
        store_dir: str | os.PathLike[str],
        *,
        cache: LayerCache,
        budget: int,
        compiler: Compiler | None = None,
        check: Callable[[], None] = lambda: None,
        made: Callable[[Layer], None] = lambda _layer: None,
    ) -> None:
        self._target = target
        self._store_dir = store_dir
        self._cache = cache
        self._budget = budget
        self._compiler = compiler
        self._user_check = check
        self._made = made
        self._early = most_alone(budget)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._installed: dict[WheelFile, list[TarEntry]] = {}
        self._splicing: dict[tuple[WheelFile, ...], Future[Layer]] = {}
        self._compiling: dict[tuple[WheelFile, ...], Future[Layer | None]] = {}
        workers = os.cpu_count() or 1
        self._splicers = ThreadPoolExecutor(workers, "splice")
        self._writers = ThreadPoolExecutor(workers, "bytecode")

    def __enter__(self) -> Pipeline:  # noqa: PYI034 - Self came with Python 3.11
        if self._compiler is not None:
            self._compiler.check = self._check
            self._compiler.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stopped.set()
        for pool in (self._splicers, self._writers):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._compiler is not None:
            self._compiler.__exit__(kind, error, traceback)
        for pool in (self._splicers, self._writers):
            pool.shutdown()

    def add(self, wheel: WheelFile) -> None:
        """A wheel has arrived; for several threads.

        Raises:
            SourceError: it would write where no wheel may.
        """
        self._installed[wheel] = install(wheel, self._target)
        with self._lock:
            alone = wheel.size >= BIG and self._early > 0
            self._early -= alone
        if alone:
            self._begin((wheel,))

    def finish(self, wheels: Sequence[WheelFile]) -> tuple[list[Layer], list[Layer]]:
        """The layers of all wheels, and those of their bytecode.

        Raises:
            SourceError: as `assemble`.
            BuildError: as `assemble_bytecode`.
        """
        plan = Plan.of(
            wheels, self._target, budget=self._budget, installed=lambda wheel, _target: self._installed[wheel]
        )
        for group in plan.groups:
            if group not in self._splicing:
                self._begin(group)
            self._splicing[group].add_done_callback(self._tell)
            if group in self._compiling:
                self._compiling[group].add_done_callback(self._tell)
        layers = [self._splicing[group].result() for group in plan.groups]
        compiled = [self._compiling[group].result() for group in plan.groups if group in self._compiling]
        return layers, [layer for layer in compiled if layer is not None]

    def _begin(self, group: tuple[WheelFile, ...]) -> None:
        compiler = self._compiler
        installed, target, store = self._installed.__getitem__, self._target, self._store_dir
        self._splicing[group] = self._splicers.submit(
            spliced_layer, group, installed, target, store, cache=self._cache, check=self._check
        )
        if compiler is not None:
            self._compiling[group] = self._writers.submit(
                bytecode_layer, group, installed, target, store, compiler, cache=self._cache
            )

    def _tell(self, future: Future[Layer] | Future[Layer | None]) -> None:
        if not future.cancelled() and future.exception() is None and (layer := future.result()) is not None:
            self._made(layer)

    def _check(self) -> None:
        self._user_check()
        if self._stopped.is_set():
            raise _StoppedError


class _StoppedError(Exception):
    """Another layer failed; this one need not go on."""
