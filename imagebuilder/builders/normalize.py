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
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from imagebuilder.builders.tar_times import NotATarError, clamp_times
from imagebuilder.errors import BuildError
from imagebuilder.registry.descriptor import Descriptor
from imagebuilder.registry.layout import OCILayout

_GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MEMBER = 4 << 20  # bytes of tar per gzip member: members are compressed side by side (RFC 1952, section 2.2)
_LEVEL = 6
_VERSION = 1


@dataclass(frozen=True)
class Layer:
    """A layer as it will be pushed: its descriptor and the digest of what it holds uncompressed."""

    descriptor: Descriptor
    diff_id: str


class Normalizer:
    """Rewrites images in an OCI layout whose blobs lie in `blobs`; `memory` remembers layers by their digest."""

    def __init__(self, layout: OCILayout, blobs: Path, memory: Path, latest: int, workers: int = 2) -> None:
        self._layout = layout
        self._blobs = blobs
        self._memory = memory
        self._latest = latest
        self._workers = workers

    def image(self, root: Descriptor) -> Descriptor:
        """Rewrite an index or a manifest; returns the new root, which is the old one where nothing changed."""
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
            if not made[number]:
                continue
            new = self._layer(layer)
            if new is not None:
                data["layers"][number] = {**data["layers"][number], **new.descriptor.to_json()}
                config["rootfs"]["diff_ids"][number] = new.diff_id
        data["config"] = self._write_json(config_descriptor, config).to_json()
        return self._write_json(root, data)

    def _layer(self, layer: Descriptor) -> Layer | None:
        remembered = self._recall(layer)
        if remembered is not None:
            return remembered
        compressed = not layer.media_type.endswith(".tar")
        try:
            with self._layout.open(layer.digest) as raw:
                source: BinaryIO = gzip.GzipFile(fileobj=raw) if compressed else raw  # type: ignore[assignment]
                new, changed = self._rewrite(source)
        except NotATarError as error:
            raise BuildError(f"layer {layer.digest} of the build is not a tar archive: {error}") from error
        if compressed and not changed:
            new = None  # nothing in it depends on time: the blob that registries may already have stays
        self._remember(layer, new)
        return new

    def _rewrite(self, source: BinaryIO) -> tuple[Layer | None, int]:
        changed = 0
        diff, blob, size = hashlib.sha256(), hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self._blobs, prefix=".layer-", delete=False) as target:
            try:

                def pieces() -> Iterator[bytes]:
                    nonlocal changed
                    for piece, count in clamp_times(source, self._latest):
                        changed += count
                        diff.update(piece)
                        yield piece

                for member in _compress(pieces(), self._workers):
                    blob.update(member)
                    size += len(member)
                    target.write(member)
                target.close()
                digest = blob.hexdigest()
                Path(target.name).replace(self._blobs / digest)
            except BaseException:
                Path(target.name).unlink(missing_ok=True)
                raise
        return Layer(Descriptor(_GZIP_LAYER, f"sha256:{digest}", size), f"sha256:{diff.hexdigest()}"), changed

    def _recall(self, layer: Descriptor) -> Layer | None:
        try:
            data = json.loads(self._note(layer).read_text())
            if data.get("same"):
                return Layer(layer, data["diff_id"]) if "diff_id" in data else None
            descriptor = Descriptor(_GZIP_LAYER, str(data["digest"]), int(data["size"]))
            blob = self._blobs / descriptor.digest.removeprefix("sha256:")
            if blob.stat().st_size == descriptor.size:  # the digest is checked when it is pushed
                os.utime(blob)
                return Layer(descriptor, str(data["diff_id"]))
        except (OSError, ValueError, KeyError):
            pass
        return None

    def _remember(self, layer: Descriptor, new: Layer | None) -> None:
        if new is None:
            return
        note = self._note(layer)
        note.parent.mkdir(parents=True, exist_ok=True)
        data = {"digest": new.descriptor.digest, "size": new.descriptor.size, "diff_id": new.diff_id}
        _replace(note, json.dumps(data).encode())

    def _note(self, layer: Descriptor) -> Path:
        codec = f"{_VERSION}-{self._latest}-{_MEMBER}-{_LEVEL}-{zlib.ZLIB_RUNTIME_VERSION}"
        return self._memory / f"{layer.digest.removeprefix('sha256:')}.{codec}.json"

    def _json(self, descriptor: Descriptor) -> dict[str, Any]:
        with self._layout.open(descriptor.digest) as blob:
            data = json.load(blob)
        if not isinstance(data, dict):
            raise BuildError(f"{descriptor.digest} of the build is not a JSON object")
        return data

    def _write_json(self, old: Descriptor, data: dict[str, Any]) -> Descriptor:
        content = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
        new = Descriptor.of(old.media_type, content).replace(platform=old.platform, annotations=old.annotations)
        _replace(self._blobs / new.digest.removeprefix("sha256:"), content)
        return new


def _made_here(config: dict[str, Any], layers: int, epoch: int) -> list[bool]:
    """Which layers this build made: those whose history has the build's own date; the base's have others."""
    from datetime import datetime, timezone

    date = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    entries = [entry for entry in config.get("history", []) if not entry.get("empty_layer")]
    if len(entries) != layers:
        return [True] * layers
    return [str(entry.get("created", "")).startswith(date) for entry in entries]


def _compress(pieces: Iterator[bytes], workers: int) -> Iterator[bytes]:
    with ThreadPoolExecutor(workers, thread_name_prefix="gzip") as pool:
        pending: deque[Future[bytes]] = deque()
        for block in _blocks(pieces):
            pending.append(pool.submit(_member, block))
            while len(pending) > workers + 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= _MEMBER:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def _member(block: bytes) -> bytes:
    # wbits 31: a gzip header without name or time.
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    return compressor.compress(block) + compressor.flush()


def _replace(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".write-", delete=False) as target:
        target.write(content)
    Path(target.name).chmod(0o644)
    Path(target.name).replace(path)
