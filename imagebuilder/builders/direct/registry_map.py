"""What machines share through a repository of a registry: which layers wheels make, and what is in bases.

A layer is a tag of an image of one layer, named after the layer's key: it keeps the blob from being collected as
garbage, and others mount it from there. What packing must know of a wheel, and the facts of a base, are tags of
artifacts. Whoever writes there decides what is in images; what is read is held against its digests, and against all
that is known of it without the wheel.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import threading
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

from imagebuilder.builders.direct.facts import LARGEST, decode_facts, encode_facts
from imagebuilder.cache.kinds import FACTS
from imagebuilder.errors import ImageBuilderError, RegistryError
from imagebuilder.layers.layer import MEDIA_TYPE, Layer
from imagebuilder.layers.outline import unpacked
from imagebuilder.registry import fetch, media_types
from imagebuilder.registry.descriptor import Descriptor, is_digest, sha256
from imagebuilder.registry.pusher import push
from imagebuilder.registry.store import MemoryStore
from imagebuilder.spec.layers import LABEL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.registry.client import Client
    from imagebuilder.registry.manifest import Manifest
    from imagebuilder.registry.store import ContentStore
    from imagebuilder.spec.reference import Reference

Answer = TypeVar("Answer")
KEY: Final = f"{LABEL_PREFIX}key"
DIFF_ID: Final = f"{LABEL_PREFIX}diff-id"
_LAYER: Final = f"{LABEL_PREFIX}layer"
_SIZE: Final = f"{LABEL_PREFIX}layer-size"
_EMPTY: Final = b"{}"
_LARGEST_CONFIG: Final = 64 << 10
_EMBEDDED: Final = 64 << 10  # bytes; a content up to this size is in the manifest too, which saves a request
_LARGEST_FACTS: Final = 8 << 20
_ATTEMPTS: Final = 2


@dataclass(frozen=True)
class Found:
    """What the map says that some wheels make: a layer, or nothing, where they have nothing to compile."""

    descriptor: Descriptor | None
    diff_id: str = ""


class RegistryMap:
    """One repository, read by many threads; `writable` where this machine is trusted to fill it.

    Nothing here ends a build: what cannot be asked or is not to be trusted is not known, and `warn` is told why. After
    the registry failed once it is not asked again.
    """

    def __init__(self, client: Client, repository: Reference, *, writable: bool = False) -> None:
        self.client = client
        self.repository = repository
        self.writable = writable
        self._silent = False
        self._lock = threading.Lock()

    def serves(self, registry: str | None) -> bool:
        """Whether what goes to a registry can be mounted from here."""
        return registry == self.repository.registry

    def layer(self, key: str, warn: Callable[[str], None]) -> Found | None:
        """The layer under a key; None where it is not known."""

        def read(manifest: Manifest) -> Found:
            (layer,) = manifest.layers
            if layer.media_type == media_types.OCI_EMPTY:
                return Found(None)
            if layer.media_type != MEDIA_TYPE or not layer.digest.startswith("sha256:"):
                raise ValueError(f"its layer is {layer.media_type} {layer.digest}")
            diff_id = _notes(manifest).get(DIFF_ID)
            if not isinstance(diff_id, str) or not is_digest(diff_id):
                raise ValueError(f"its layer unpacks to {diff_id!r}")
            config = json.loads(self._content(manifest.document["config"], _LARGEST_CONFIG))
            if config != _layer_config(key, layer, diff_id):
                raise ValueError("its config and its manifest contradict each other")
            there = fetch.blob_size(self.client.session, self.repository, layer.digest, _ATTEMPTS)
            if there != layer.size:
                raise ValueError(f"its layer has {layer.size} bytes, and the registry has {there}")
            return Found(Descriptor(MEDIA_TYPE, layer.digest, layer.size), diff_id)

        return self._ask("layer", key, read, warn)

    def has(self, blob: Descriptor, warn: Callable[[str], None]) -> bool:
        """Whether a blob is in the repository."""
        if self._silent:
            return False
        try:
            return fetch.blob_size(self.client.session, self.repository, blob.digest, _ATTEMPTS) == blob.size
        except RegistryError as error:
            self._fall_silent(error, warn)
            return False

    def document(self, kind: str, key: str, largest: int, warn: Callable[[str], None]) -> bytes | None:
        """A document of at most `largest` bytes; None where it is not known. What it says is not looked at."""

        def read(manifest: Manifest) -> bytes:
            (layer,) = manifest.document["layers"]
            if layer["mediaType"] != _document_type(kind):
                raise ValueError(f"it is {layer['mediaType']}")
            return self._content(layer, largest)

        return self._ask(kind, key, read, warn)

    def put_layer(self, key: str, layer: Layer | None, blobs: ContentStore) -> None:
        """Make a layer known, or that there is none; its blob is in `blobs`.

        Raises:
            ImageBuilderError: the registry did not take it.
        """
        store = _Overlay(blobs)
        if layer is None:
            self._put("layer", key, store, None, layer=store.add(_EMPTY, media_types.OCI_EMPTY))
            return
        config = _layer_config(key, layer.descriptor, layer.diff_id)
        self._put("layer", key, store, config, layer=layer.descriptor, notes={DIFF_ID: layer.diff_id})

    def put_document(self, kind: str, key: str, content: bytes) -> None:
        """Make a document known; as `put_layer`."""
        store = MemoryStore()
        self._put(kind, key, store, None, layer=store.add(content, _document_type(kind)), content=content)

    def facts(self, digest: str, warn: Callable[[str], None]) -> BaseFacts | None:
        """What is in the base of a digest; None where it is not known."""
        content = self.document("facts", _facts_key(digest), _LARGEST_FACTS, warn)
        if content is None:
            return None
        try:
            found = decode_facts(unpacked(content, LARGEST))
        except ValueError:
            found = None
        if found is None:
            warn(f"what the shared cache says about the base {digest} cannot be read, and was not used")
        return found

    def put_facts(self, digest: str, facts: BaseFacts, warn: Callable[[str], None]) -> None:
        """Make facts known; what cannot be written is told."""
        try:
            self.put_document("facts", _facts_key(digest), gzip.compress(encode_facts(facts), mtime=0))
        except ImageBuilderError as error:
            warn(f"the shared cache {self.repository} could not be filled: {error.message}")

    def _put(
        self,
        kind: str,
        key: str,
        store: MemoryStore,
        config: dict[str, Any] | None,
        *,
        layer: Descriptor,
        notes: Mapping[str, str] = MappingProxyType({}),
        content: bytes = b"",
    ) -> None:
        text = _EMPTY if config is None else _json(config)
        about = store.add(text, media_types.OCI_EMPTY if config is None else media_types.OCI_CONFIG)
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            **({"artifactType": _document_type(kind)} if config is None else {}),
            "config": _embedded(about, text),
            "layers": [_embedded(layer, content)],
            "annotations": {KEY: key, **notes},
        }
        push(self.client, store, store.add(_json(manifest), media_types.OCI_MANIFEST), self._tag(kind, key))

    def _tag(self, kind: str, key: str) -> Reference:
        return self.repository.with_tag(f"{kind}-{key}")

    def _ask(
        self, kind: str, key: str, read: Callable[[Manifest], Answer], warn: Callable[[str], None]
    ) -> Answer | None:
        if self._silent:
            return None
        reference = self._tag(kind, key)
        try:
            manifest = fetch.find_manifest(self.client.session, reference, _ATTEMPTS)
            if manifest is not None:
                _require_key(manifest, key)
                return read(manifest)
        except RegistryError as error:
            self._fall_silent(error, warn)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            warn(f"{reference} of the shared cache is not to be trusted, and was not used: {_why(error)}")
        return None

    def _content(self, listed: dict[str, Any], largest: int) -> bytes:
        """What a descriptor points to, out of the manifest where it is there (image-spec, "data")."""
        descriptor = Descriptor.parse(listed)
        if descriptor.size > largest:
            raise ValueError(f"{descriptor.digest} has {descriptor.size} bytes, more than {largest}")
        data = listed.get("data")
        if data is None:
            return self.client.blob(self.repository, descriptor)
        try:
            content = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ValueError(f"its data is broken: {error}") from None
        if len(content) != descriptor.size or sha256(content) != descriptor.digest:
            raise ValueError(f"its data is not {descriptor.digest}")
        return content

    def _fall_silent(self, error: ImageBuilderError, warn: Callable[[str], None]) -> None:
        with self._lock:
            first, self._silent = not self._silent, True
        if first:
            warn(f"the shared cache {self.repository} was not used: {error.message}")


class _Overlay(MemoryStore):
    """What is in memory, before what is in another store."""

    def __init__(self, below: ContentStore) -> None:
        super().__init__()
        self._below = below

    def open(self, digest: str) -> BinaryIO:
        return super().open(digest) if digest in self.contents else self._below.open(digest)

    def size(self, digest: str) -> int:
        return super().size(digest) if digest in self.contents else self._below.size(digest)


def _layer_config(key: str, layer: Descriptor, diff_id: str) -> dict[str, Any]:
    """The config of an image of one layer; it says again what the manifest says, so that one alone cannot be bent."""
    return {
        "created": "1980-01-01T00:00:00Z",
        "os": "linux",
        "architecture": "unknown",
        "config": {"Labels": {KEY: key, DIFF_ID: diff_id, _LAYER: layer.digest, _SIZE: str(layer.size)}},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }


def _facts_key(digest: str) -> str:
    return hashlib.sha256(f"imagebuilder facts {FACTS.version}\n{digest}".encode()).hexdigest()


def _require_key(manifest: Manifest, key: str) -> None:
    if manifest.media_type != media_types.OCI_MANIFEST:
        raise ValueError(f"it is {manifest.media_type}")
    if _notes(manifest).get(KEY) != key:
        raise ValueError("it was written under another key")


def _notes(manifest: Manifest) -> dict[str, Any]:
    notes = manifest.document.get("annotations")
    return notes if isinstance(notes, dict) else {}


def _document_type(kind: str) -> str:
    return f"application/vnd.imagebuilder.{kind}.v1+gzip"


def _embedded(descriptor: Descriptor, content: bytes) -> dict[str, Any]:
    data = {"data": base64.b64encode(content).decode()} if 0 < len(content) <= _EMBEDDED else {}
    return {**descriptor.to_json(), **data}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else f"it lacks {error}"
