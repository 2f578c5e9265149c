"""A manifest or index: its exact bytes, and what they say."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from imagebuilder.registry import media_types
from imagebuilder.registry.descriptor import Descriptor, sha256

if TYPE_CHECKING:
    from imagebuilder.spec.platform import Platform

# BuildKit marks provenance and SBOM manifests so ("Image attestation storage").
_ATTESTATION = "vnd.docker.reference.type"


@final
class Manifest:
    """A manifest or index as a registry keeps it; the digest is of `raw`, byte for byte. Not to be changed."""

    def __init__(self, raw: bytes, media_type: str, digest: str) -> None:
        self.raw = raw
        self.media_type = media_type
        self.digest = digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Manifest) and (self.digest, self.media_type) == (other.digest, other.media_type)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Manifest({self.media_type}, {self.digest}, {len(self.raw)} bytes)"

    @classmethod
    def of(cls, raw: bytes, media_type: str | None = None) -> Manifest:
        """Build one from bytes; the media type is found in them where it is not given.

        Raises:
            ValueError: the bytes are not a manifest.
        """
        manifest = cls(raw, media_type or "", sha256(raw))
        return manifest if media_type else cls(raw, _media_type(manifest.document), manifest.digest)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The parsed JSON.

        Raises:
            ValueError: the bytes are not a JSON object.
        """
        try:
            value = json.loads(self.raw)
        except RecursionError:
            raise ValueError("a manifest is not nested so deeply") from None
        if not isinstance(value, dict):
            raise ValueError("a manifest is a JSON object")  # noqa: TRY004 - callers catch one kind for bad bytes
        return value

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in media_types.INDEXES

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor that points to it."""
        return Descriptor(self.media_type, self.digest, len(self.raw))

    @cached_property
    def children(self) -> tuple[Descriptor, ...]:
        """The manifests that an index lists."""
        return _descriptors(self.document.get("manifests")) if self.is_index else ()

    @cached_property
    def config(self) -> Descriptor | None:
        """The config of a single manifest."""
        value = None if self.is_index else self.document.get("config")
        return Descriptor.parse(value) if value else None

    @cached_property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers of a single manifest."""
        return () if self.is_index else _descriptors(self.document.get("layers"))

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, each once, without those that live elsewhere."""
        listed = ((self.config,) if self.config else ()) + self.layers
        return tuple({blob.digest: blob for blob in listed if not media_types.is_foreign(blob.media_type)}.values())

    @property
    def images(self) -> tuple[Descriptor, ...]:
        """The children that are images: attestations and `unknown/unknown` are not."""
        return tuple(child for child in self.children if _is_image(child))

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms that an index says it has, each once, in its order."""
        return tuple(dict.fromkeys(child.platform for child in self.images if child.platform))


def _is_image(child: Descriptor) -> bool:
    return _ATTESTATION not in child.annotations and (child.platform is None or child.platform.is_known)


def _descriptors(value: object) -> tuple[Descriptor, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError("a manifest lists its parts in an array")  # noqa: TRY004 - one kind for bad bytes
    return tuple(Descriptor.parse(item) for item in value)


def _media_type(document: dict[str, Any]) -> str:
    said = document.get("mediaType")
    if isinstance(said, str) and said:
        return said
    if "manifests" in document:
        return media_types.OCI_INDEX
    if "layers" in document or "config" in document:
        return media_types.OCI_MANIFEST
    raise ValueError("it is neither an image manifest nor an index")
