"""A base image of one platform: its manifest and config, and where its blobs are."""

from __future__ import annotations

import io
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from imagebuilder.builders.direct.tree import BaseTree, LayerChanges, UnreadableLayerError, read_layer
from imagebuilder.errors import BuildError, RegistryError, VerificationError
from imagebuilder.layers.side_by_side import side_by_side
from imagebuilder.registry.descriptor import parse_platform
from imagebuilder.registry.manifest import Manifest
from imagebuilder.registry.mirror import at_mirror
from imagebuilder.registry.store import missing
from imagebuilder.spec.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from imagebuilder.builders.direct.base_memory import BaseMemory
    from imagebuilder.builders.direct.facts import BaseFacts, FactsMemory
    from imagebuilder.builders.direct.registry_map import RegistryMap
    from imagebuilder.registry.client import Client
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.layout import OCILayout
    from imagebuilder.registry.settings import RegistrySettings
    from imagebuilder.registry.store import ContentStore
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference

_PIECE = 1 << 20
_READERS = 4  # layers read at the same time: more share what the network and the processors have


@dataclass(frozen=True)
class Base:
    """`name` is for people; `store` has the manifest's blobs, here or at a registry, there under `reference`."""

    name: str
    manifest: Manifest
    config: Mapping[str, Any] = field(repr=False)
    store: ContentStore = field(repr=False)
    reference: Reference | None = None

    @classmethod
    def of(
        cls,
        name: str,
        manifest: Manifest,
        store: ContentStore,
        content: bytes | None = None,
        reference: Reference | None = None,
    ) -> Base:
        """Read the config of a manifest; `content` is the config's, where it is at hand.

        Raises:
            RegistryError: it is no container image.
        """
        if manifest.config is None:
            raise RegistryError(f"{name} is not a container image")
        if content is None:
            with store.open(manifest.config.digest) as blob:
                content = blob.read()
        try:
            config = json.loads(content)
        except ValueError as error:
            raise RegistryError(f"the config of {name} is not JSON: {error}") from None
        if not isinstance(config, dict):
            raise RegistryError(f"the config of {name} is no config")
        return cls(name, manifest, config, store, reference)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What its config says about containers."""
        found = self.config.get("config")
        return found if isinstance(found, dict) else {}

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its config."""
        listed = self.settings.get("Env") or []
        return dict(item.split("=", 1) for item in listed if "=" in item)


class Bases:
    """Reads bases of registries, each once; documents and facts are remembered by digest."""

    def __init__(
        self, client: Client, memory: FactsMemory, documents: BaseMemory, registry_map: RegistryMap | None = None
    ) -> None:
        self._client = client
        self._map = registry_map
        self._memory = memory
        self._documents = documents
        self._bases: dict[tuple[Reference, Platform], Base] = {}
        self._facts: dict[str, BaseFacts] = {}
        self._lock = threading.RLock()

    def base(self, reference: Reference, platform: Platform) -> Base:
        """The base for a platform.

        Raises:
            BuildError: it has none for the platform.
            RegistryError: the registry could not say.
        """
        with self._lock:
            key = (reference, platform)
            if key not in self._bases:
                self._bases[key] = self._read(reference, platform)
            return self._bases[key]

    def facts(
        self, base: Base, check: Callable[[], None] = lambda: None, warn: Callable[[str], None] = lambda _: None
    ) -> BaseFacts:
        """What is in it; its layers are read through once per digest and machine, and once for all who share a map.

        `check` is called on the way, `warn` is told what people should know.

        Raises:
            RegistryError: a layer could not be sent, or is of a kind this Python does not read.
        """
        with self._lock:
            digest = base.manifest.digest
            if digest not in self._facts:
                self._facts[digest] = self._find_facts(base, check, warn)
            return self._facts[digest]

    def _find_facts(self, base: Base, check: Callable[[], None], warn: Callable[[str], None]) -> BaseFacts:
        digest = base.manifest.digest
        found, shared = self._memory.recall(digest), self._map
        mapped = shared.facts(digest, warn) if shared and (found is None or shared.writable) else None
        if found is None:
            found = mapped or _explore(base, check)
            self._memory.remember(digest, found)
        if shared and shared.writable and mapped is None:
            shared.put_facts(digest, found, warn)
        return found

    def _read(self, reference: Reference, platform: Platform) -> Base:
        manifest = self._manifest(reference)
        if not manifest.is_index:
            base = self._base(reference, manifest)
            if (found := parse_platform(base.config)) != platform:
                raise _no_platform(reference, platform, str(found))
            return base
        child = next((child for child in manifest.images if child.platform == platform), None)
        if child is None:
            raise _no_platform(reference, platform, ", ".join(map(str, manifest.platforms)))
        return self._base(reference, self._manifest(reference.with_digest(child.digest)))

    def _manifest(self, reference: Reference) -> Manifest:
        """A manifest; only what a tag points to is asked for each time."""
        digest = reference.digest
        if digest is None:
            there = self._client.resolve(reference)
            digest = there.digest if there else ""
        raw = self._documents.recall(digest)
        if raw is not None:
            with suppress(ValueError):
                return Manifest(raw, Manifest.of(raw).media_type, digest)
        manifest = self._client.manifest(reference.with_digest(digest) if digest else reference)
        self._documents.remember(manifest.digest, manifest.raw)
        return manifest

    def _base(self, reference: Reference, manifest: Manifest) -> Base:
        """A base whose config is read once."""
        store = RemoteStore(self._client, reference, manifest.blobs)
        config = manifest.config
        if config is None:
            return Base.of(reference.familiar, manifest, store, reference=reference)
        content = self._documents.recall(config.digest)
        if content is None:
            content = self._client.blob(reference, config)
            self._documents.remember(config.digest, content)
        return Base.of(reference.familiar, manifest, store, content, reference)


def held_by(bases: Iterable[Base], settings: RegistrySettings, registry: str | None) -> dict[str, str]:
    """Repositories of a registry that have layers of bases, by digest: the bases' own, or ones that mirror them."""
    found: dict[str, str] = {}
    for base in bases:
        if base.reference is not None:
            mirrors = settings.host(base.reference.registry).mirrors
            for place in (base.reference, *(at_mirror(base.reference, mirror) for mirror in mirrors)):
                if place.registry == registry != DOCKER_HUB:
                    found |= {layer.digest: place.repository for layer in base.manifest.layers}
    return found


def _no_platform(reference: Reference, platform: Platform, has: str) -> BuildError:
    return BuildError(f"the base {reference.familiar} has no {platform}", hint=f"choose one that it has: {has}")


def local_bases(store: ContentStore, root: Descriptor, name: str, platforms: Sequence[Platform]) -> list[Base]:
    """The bases of an image that was made here, in the order of the platforms."""
    with store.open(root.digest) as blob:
        manifest = Manifest.of(blob.read(), root.media_type)
    if not manifest.is_index:
        return [Base.of(name, manifest, store)]
    children = {child.platform: child for child in manifest.images}
    bases = []
    for platform in platforms:
        child = children[platform]
        with store.open(child.digest) as blob:
            bases.append(Base.of(name, Manifest.of(blob.read(), child.media_type), store))
    return bases


class RemoteStore:
    """Some blobs at a registry, streamed and verified as they are read."""

    def __init__(self, client: Client, reference: Reference, blobs: Iterable[Descriptor]) -> None:
        self._client = client
        self._reference = reference
        self._blobs = {blob.digest: blob for blob in blobs}

    def open(self, digest: str) -> BinaryIO:
        """A new stream of the content."""
        blob = self._blob(digest)
        return io.BufferedReader(_Pieces(self._client.stream_blob(self._reference, blob)), _PIECE)

    def size(self, digest: str) -> int:
        """Its length in bytes."""
        return self._blob(digest).size

    def _blob(self, digest: str) -> Descriptor:
        if digest not in self._blobs:
            raise missing(digest, self._reference.familiar)
        return self._blobs[digest]


class LayeredStore:
    """What was made here, and what bases and a shared cache have: fetched only where the target lacks it."""

    def __init__(self, own: OCILayout, bases: Sequence[Base], shared: Mapping[str, ContentStore]) -> None:
        self._own = own
        self._below = {**shared, **{blob.digest: base.store for base in bases for blob in base.manifest.blobs}}

    def open(self, digest: str) -> BinaryIO:
        """A new stream of the content."""
        return self._holder(digest).open(digest)

    def size(self, digest: str) -> int:
        """Its length in bytes."""
        return self._holder(digest).size(digest)

    def _holder(self, digest: str) -> ContentStore:
        return self._own if self._own.path(digest).exists() else self._below.get(digest, self._own)


class _Pieces(io.RawIOBase):
    """A file of what an iterator gives; closed early, so is the iterator."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        end = getattr(self._pieces, "close", None)
        if end is not None:
            end()
        super().close()


def _explore(base: Base, check: Callable[[], None]) -> BaseFacts:
    def read(layer: Descriptor) -> LayerChanges:
        try:
            with base.store.open(layer.digest) as stream:
                return read_layer(stream, check)
        except (UnreadableLayerError, OSError, VerificationError) as error:
            raise RegistryError(f"layer {layer.digest} of {base.name} cannot be read here: {error}") from error

    tree = BaseTree()
    for changes in side_by_side(read, base.manifest.layers, _READERS):
        tree.apply(changes)
    return tree.facts(base.environ)
