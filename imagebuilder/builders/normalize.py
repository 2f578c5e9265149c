"""Makes what BuildKit exports independent of when it was built.

BuildKit can rewrite times itself, but decompresses and compresses every layer anew for every build. Here each layer
is rewritten and compressed once; the result is remembered by the digest of what it was made from.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from imagebuilder.builders.gzip_members import FORMAT, compress
from imagebuilder.builders.tar_times import NotATarError, clamp_times
from imagebuilder.errors import BuildError, VerificationError
from imagebuilder.registry.descriptor import Descriptor, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imagebuilder.registry.layout import OCILayout

_GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_CHUNK = 1 << 20
_ANY_TIME = 1 << 62


@dataclass(frozen=True)
class Layer:
    """A layer as it will be pushed: its descriptor and the digest of what it holds uncompressed."""

    descriptor: Descriptor
    diff_id: str


class Normalizer:
    """Rewrites images in an OCI layout whose blobs lie in `blobs`; `memory` remembers layers by their digest.

    `check` is called between pieces and may raise to stop. `used` are the digests of all blobs that were looked at.
    """

    def __init__(
        self, layout: OCILayout, blobs: Path, memory: Path, latest: int, check: Callable[[], None] = lambda: None
    ) -> None:
        self._layout = layout
        self._blobs = blobs
        self._memory = memory
        self._latest = latest
        self._check = check
        self.used: set[str] = set()

    def image(self, root: Descriptor) -> Descriptor:
        """Rewrite an index or a manifest; returns the new root, which is the old one where nothing changed.

        Raises:
            BuildError: what was built is broken.
        """
        data = self._json(root)
        if root.media_type not in _INDEX_TYPES:
            return self._manifest(root, data)
        data["manifests"] = [
            self._manifest(child, self._json(child)).to_json() for child in map(Descriptor.parse, data["manifests"])
        ]
        return self._write_json(root, data)

    def _manifest(self, root: Descriptor, data: dict[str, Any]) -> Descriptor:
        config_descriptor = Descriptor.parse(data["config"])
        config = self._json(config_descriptor)
        layers = [Descriptor.parse(layer) for layer in data["layers"]]
        made = _made_here(config, len(layers), self._latest)
        for number, layer in enumerate(layers):
            self.used.add(layer.digest)
            if made[number] and layer.media_type.endswith((".tar", "gzip")):
                new = self._layer(layer, self._latest)
            elif layer.media_type.endswith(".tar"):
                new = self._layer(layer, _ANY_TIME)  # the base's, from an engine that keeps no compressed ones
            else:
                continue  # the base's, or zstd from a cache: as it is
            if new.descriptor.digest != layer.digest:
                self.used.add(new.descriptor.digest)
                data["layers"][number] = {**data["layers"][number], **new.descriptor.to_json()}
                config["rootfs"]["diff_ids"][number] = new.diff_id
        data["config"] = self._write_json(config_descriptor, config).to_json()
        return self._write_json(root, data)

    def _layer(self, layer: Descriptor, latest: int) -> Layer:
        note = self._note(layer, latest)
        remembered = self._recall(note)
        if remembered is not None:
            return remembered
        compressed = layer.media_type.endswith("gzip")
        try:
            with self._layout.open(layer.digest) as raw:
                verified = _Verified(raw, layer)
                source = gzip.GzipFile(fileobj=cast("BinaryIO", verified)) if compressed else verified
                new = self._rewrite(cast("BinaryIO", source), layer if compressed else None, latest)
                verified.finish()
        except (NotATarError, EOFError, zlib.error, gzip.BadGzipFile, VerificationError) as error:
            # A damaged blob would be found again by every later build, as BuildKit sends only those that are missing.
            self._layout.path(layer.digest).unlink(missing_ok=True)
            raise BuildError(
                f"layer {layer.digest} of the build is damaged: {error}", hint="build the image again"
            ) from error
        _remember(note, new)
        return new

    def _rewrite(self, source: BinaryIO, keep: Descriptor | None, latest: int) -> Layer:
        """Rewrite a layer; where nothing in it depends on time, `keep` stays, as registries may already have it."""
        changed = 0
        diff, blob, size = hashlib.sha256(), hashlib.sha256(), 0

        def pieces() -> Iterator[bytes]:
            nonlocal changed
            for piece, count in clamp_times(source, latest):
                self._check()
                changed += count
                diff.update(piece)
                yield piece

        target = tempfile.NamedTemporaryFile(dir=self._blobs, prefix=".layer-", delete=False)  # noqa: SIM115 - renamed
        try:
            with target:
                for member in compress(pieces()):
                    blob.update(member)
                    size += len(member)
                    target.write(member)
            diff_id = f"sha256:{diff.hexdigest()}"
            if keep is not None and not changed:
                return Layer(keep, diff_id)
            _publish(target.name, self._blobs / blob.hexdigest())
            return Layer(Descriptor(_GZIP_LAYER, f"sha256:{blob.hexdigest()}", size), diff_id)
        finally:
            Path(target.name).unlink(missing_ok=True)

    def _recall(self, note: Path) -> Layer | None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            data = json.loads(note.read_text())
            descriptor = Descriptor(str(data["mediaType"]), str(data["digest"]), int(data["size"]))
            # The digest is checked when it is pushed.
            if self._layout.path(descriptor.digest).stat().st_size == descriptor.size:
                os.utime(note)
                return Layer(descriptor, str(data["diff_id"]))
        return None

    def _note(self, layer: Descriptor, latest: int) -> Path:
        return self._memory / f"{layer.digest.removeprefix('sha256:')}.{latest}-{FORMAT}.json"

    def _json(self, descriptor: Descriptor) -> dict[str, Any]:
        self.used.add(descriptor.digest)
        with self._layout.open(descriptor.digest) as blob:
            data = json.load(blob)
        if not isinstance(data, dict):
            raise BuildError(f"{descriptor.digest} of the build is not a JSON object")
        return data

    def _write_json(self, old: Descriptor, data: dict[str, Any]) -> Descriptor:
        content = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
        new = Descriptor.of(old.media_type, content).replace(platform=old.platform, annotations=old.annotations)
        self.used.add(new.digest)
        _replace(self._blobs / new.digest.removeprefix("sha256:"), content)
        return new


class _Verified:
    """Reads a blob and checks that it is what its descriptor promises."""

    def __init__(self, raw: BinaryIO, descriptor: Descriptor) -> None:
        self._raw = raw
        self._verifier = Verifier(descriptor.digest, descriptor.size)

    def read(self, count: int = -1) -> bytes:
        piece = self._raw.read(count)
        self._verifier.update(piece)
        return piece

    def finish(self) -> None:
        while self.read(_CHUNK):
            pass
        self._verifier.finish("the cache")


def _made_here(config: dict[str, Any], layers: int, epoch: int) -> list[bool]:
    """Which layers this build made: those whose history has the build's own date; the base's have others."""
    date = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    entries = [entry for entry in config.get("history") or [] if not entry.get("empty_layer")]
    if len(entries) != layers:
        return [True] * layers
    return [str(entry.get("created", "")).startswith(date) for entry in entries]


def _remember(note: Path, new: Layer) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "mediaType": new.descriptor.media_type,
        "digest": new.descriptor.digest,
        "size": new.descriptor.size,
        "diff_id": new.diff_id,
    }
    _replace(note, json.dumps(data).encode())


def _replace(path: Path, content: bytes) -> None:
    target = tempfile.NamedTemporaryFile(dir=path.parent, prefix=".write-", delete=False)  # noqa: SIM115 - renamed
    try:
        with target:
            target.write(content)
        _publish(target.name, path)
    finally:
        Path(target.name).unlink(missing_ok=True)


def _publish(temporary: str, path: Path) -> None:
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)
