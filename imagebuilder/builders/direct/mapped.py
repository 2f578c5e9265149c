"""The layers of a set of wheels, as far as a registry's map knows them: those wheels are neither fetched nor read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from imagebuilder.builders.direct.base import RemoteStore
from imagebuilder.builders.direct.bring import bring, is_here
from imagebuilder.cache.kinds import IMAGES, LAYERS
from imagebuilder.errors import ImageBuilderError
from imagebuilder.layers.assembly import spliced_layer
from imagebuilder.layers.bytecode import bytecode_layer
from imagebuilder.layers.install import install
from imagebuilder.layers.layer import Layer
from imagebuilder.layers.layer_cache import CODEC, LayerCache, layer_key, stack_key
from imagebuilder.layers.outline import CODEC as OUTLINE
from imagebuilder.layers.outline import LARGEST, Outline, divide
from imagebuilder.layers.side_by_side import side_by_side
from imagebuilder.layers.wheel import split_name
from imagebuilder.registry.layout import OCILayout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from imagebuilder.builders.direct.registry_map import RegistryMap
    from imagebuilder.layers import Compiler, InstallTarget, TarEntry, WheelFile
    from imagebuilder.packages import LockedFile
    from imagebuilder.registry.descriptor import Descriptor

OUTLINES: Final = "outline"
_REQUESTS: Final = 16  # at a time


@dataclass
class _Slot:
    """One layer that there will be, or will not where `is_empty`; `mapped` where the registry's map has it."""

    names: tuple[str, ...]
    key: str
    what: str
    compiled: bool
    layer: Layer | None = None
    is_empty: bool = False
    mapped: bool = False

    @property
    def is_known(self) -> bool:
        return self.layer is not None or self.is_empty


class MappedStack:
    """Finds layers here and in the map, and makes the others; `fetch` brings wheels to this machine.

    Where images go to the map's own registry, `mounts`, what the map has is mounted there and never comes here.
    Elsewhere it is fetched, and held against both its digests. `warnings` are what people should know.
    """

    def __init__(
        self,
        registry_map: RegistryMap,
        cache_dir: Path,
        files: Sequence[LockedFile],
        target: InstallTarget,
        *,
        budget: int,
        compiler: Compiler | None,
        mounts: bool,
        fetch: Callable[[list[LockedFile]], list[WheelFile]],
        check: Callable[[], None],
    ) -> None:
        self._map = registry_map
        self._store = OCILayout(IMAGES.at(cache_dir))
        self._cache = LayerCache(LAYERS.at(cache_dir))
        self._files = {split_name(file.name)[0]: file for file in files}
        self._target = target
        self._budget = budget
        self._compiler = compiler
        self._mounts = mounts
        self._fetch = fetch
        self._check = check
        self._wheels: dict[str, WheelFile] = {}
        self._installed: dict[str, list[TarEntry]] = {}
        self._outlines: dict[str, Outline] = {}
        self._mapped: set[str] = set()  # the names of the wheels whose outlines the map has
        self._slots: list[_Slot] = []
        self._away: list[Descriptor] = []  # of layers that are remembered, and not here
        self._trusted = True
        self.warnings: list[str] = []

    def layers(self) -> list[Layer] | None:
        """All layers, in their order; None where the map knows nothing of these wheels, or is not to be trusted."""
        known = self._remembered()
        if known is not None:
            return known
        self._ask_outlines()
        if not self._mapped:
            return None
        try:
            self._find_slots()
            self._make_missing()
        except _PoisonedError as error:
            self._distrust(error)
            return None
        self._remember()
        return [slot.layer for slot in self._slots if slot.layer is not None]

    def fill(self) -> None:
        """Make known what the map does not know yet; what cannot be written is told."""
        try:
            try:
                self._complete()
            except _PoisonedError as error:
                self._distrust(error)
                self._complete()
            side_by_side(self._put_outline, [name for name in self._files if name not in self._mapped], _REQUESTS)
            side_by_side(self._put_layer, [slot for slot in self._slots if not slot.mapped], _REQUESTS)
        except ImageBuilderError as error:
            self.warnings.append(f"the shared cache {self._map.repository} could not be filled: {error.message}")

    def sources(self) -> dict[str, RemoteStore]:
        """The digests of layers that the map's repository has, each with a store that reads it there."""
        there = [slot.layer.descriptor for slot in self._slots if slot.mapped and slot.layer is not None]
        remote = RemoteStore(self._map.client, self._map.repository, [*self._away, *there])
        return {blob.digest: remote for blob in [*self._away, *there]}

    def _complete(self) -> None:
        """Know each layer, and whether the map knows it."""
        if not self._outlines:
            self._ask_outlines()
        if not self._slots:
            self._find_slots()
        self._ask_layers([slot for slot in self._slots if not slot.mapped])
        self._make_missing()

    def _distrust(self, error: _PoisonedError) -> None:
        self.warnings.append(f"{error}; nothing of it was used")
        self._trusted = False
        self._mapped.clear()
        self._outlines.clear()
        self._slots.clear()

    # -- what is known -----------------------------------------------------------------------------------------------

    def _remembered(self) -> list[Layer] | None:
        """The layers, where this machine has seen them, and each is here or still in the map's repository."""
        if not self._mounts:
            return None
        layers: list[Layer] = []
        for codec in self._codecs():
            digests = [file.key for file in self._files.values()]
            found = self._cache.get_stack(stack_key(digests, self._target, budget=self._budget, codec=codec))
            if found is None:
                return None
            layers += found
        away = [layer for layer in layers if not is_here(layer, self._store)]
        there = side_by_side(lambda layer: self._map.has(layer.descriptor, self.warnings.append), away, _REQUESTS)
        if not all(there):
            return None
        self._away = [layer.descriptor for layer in away]
        return layers

    def _remember(self) -> None:
        digests = [file.key for file in self._files.values()]
        for codec in self._codecs():
            compiled = codec != CODEC
            layers = [slot.layer for slot in self._slots if slot.layer is not None and slot.compiled == compiled]
            self._cache.put_stack(stack_key(digests, self._target, budget=self._budget, codec=codec), layers)

    def _codecs(self) -> list[str]:
        return [CODEC] if self._compiler is None else [CODEC, self._compiler.codec]

    def _ask_outlines(self) -> None:
        def ask(name: str) -> None:
            self._check()
            file = self._files[name]
            key = layer_key([file.key], self._target, codec=OUTLINE)
            content = self._map.document(OUTLINES, key, LARGEST, self.warnings.append)
            if content is None:
                return
            try:
                outline = Outline.from_bytes(content, self._target)
                _require_same(outline, file)
            except ValueError as error:
                self.warnings.append(f"what the shared cache says about {file.name} was not used: {error}")
                return
            self._outlines[name] = outline
            self._mapped.add(name)

        if self._trusted:
            side_by_side(ask, list(self._files), _REQUESTS)

    def _find_slots(self) -> None:
        """Decide which wheels share a layer, and look for each layer here and in the map."""
        self._read([name for name in self._files if name not in self._outlines])
        groups = divide(self._outlines.values(), self._budget)
        for codec in self._codecs():
            for group in groups:
                key = layer_key([self._files[name].key for name in group], self._target, codec=codec)
                what = ", ".join(f"{name} {self._outlines[name].version}" for name in group)
                compiled = codec != CODEC
                slot = _Slot(group, key, f"bytecode of {what}" if compiled else what, compiled)
                found = self._cache.get(key)
                if found is not None and is_here(found, self._store):
                    slot.layer = found
                self._slots.append(slot)
        self._ask_layers([slot for slot in self._slots if slot.layer is None])

    def _ask_layers(self, slots: list[_Slot]) -> None:
        def ask(slot: _Slot) -> None:
            self._check()
            found = self._map.layer(slot.key, self.warnings.append)
            if found is None:
                return
            if found.descriptor is None:
                slot.is_empty = slot.mapped = slot.compiled and slot.layer is None
                return
            layer = Layer(found.descriptor, found.diff_id, slot.what)
            if slot.layer is None and not slot.is_empty and (self._mounts or self._bring(layer, slot)):
                slot.layer = layer
            slot.mapped = slot.layer == layer

        if self._trusted:
            side_by_side(ask, slots, _REQUESTS)

    def _bring(self, layer: Layer, slot: _Slot) -> bool:
        problem = bring(self._map.client, self._map.repository, layer, self._store)
        if problem is None:
            self._cache.put(slot.key, layer)
            return True
        self.warnings.append(f"the layer of {slot.what} in the shared cache was not used: {problem}")
        return False

    # -- what is made ------------------------------------------------------------------------------------------------

    def _read(self, names: Iterable[str]) -> None:
        """Bring wheels here, and read what they install."""
        wanted = list(dict.fromkeys(names))
        missing = [name for name in wanted if name not in self._wheels]
        if missing:
            found = self._fetch([self._files[name] for name in missing])
            self._wheels.update(zip(missing, found, strict=True))
            self._installed.update((name, install(self._wheels[name], self._target)) for name in missing)
        for name in wanted:
            outline = Outline.of(self._wheels[name], self._installed[name])
            if self._outlines.setdefault(name, outline) != outline:
                raise _PoisonedError(f"what the shared cache says about {self._files[name].name} is wrong")

    def _make_missing(self) -> None:
        slots = [slot for slot in self._slots if not slot.is_known]
        if not slots:
            return
        self._read(name for slot in slots for name in slot.names)
        compiler = self._compiler
        if compiler is None:
            side_by_side(self._make, slots, None)
            return
        compiler.check = self._check
        with compiler:
            side_by_side(self._make, slots, None)

    def _make(self, slot: _Slot) -> None:
        self._check()
        group = tuple(self._wheels[name] for name in slot.names)
        folder, target, cache = self._store.folder, self._target, self._cache
        if slot.compiled:
            assert self._compiler is not None
            slot.layer = bytecode_layer(group, self._entries, target, folder, self._compiler, cache=cache)
            slot.is_empty = slot.layer is None
        else:
            slot.layer = spliced_layer(group, self._entries, target, folder, cache=cache, check=self._check)

    def _entries(self, wheel: WheelFile) -> list[TarEntry]:
        return self._installed[wheel.name]

    def _put_outline(self, name: str) -> None:
        key = layer_key([self._files[name].key], self._target, codec=OUTLINE)
        self._map.put_document(OUTLINES, key, self._outlines[name].to_bytes())

    def _put_layer(self, slot: _Slot) -> None:
        self._check()
        self._map.put_layer(slot.key, slot.layer, self._store)
        slot.mapped = True


def _require_same(outline: Outline, file: LockedFile) -> None:
    if (outline.name, outline.version) != split_name(file.name) or file.size not in (None, outline.size):
        raise ValueError(f"it is of {outline.name} {outline.version}, {outline.size} bytes")


class _PoisonedError(Exception):
    """The map says about a wheel what is not true; nothing it says is used then."""
