"""An image as one tar for `docker load`, `podman load` and `skopeo`: an OCI layout with Docker's manifest.json."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from imagebuilder.errors import SpecError
from imagebuilder.registry.layout import OCILayout
from imagebuilder.registry.manifest import Manifest
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.store import ContentStore

_NAME = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"  # what `docker load` names the image by


def write_archive(store: ContentStore, root: Descriptor, name: str, path: Path) -> None:
    """Write an archive of one platform; a half-written one never has the name.

    Raises:
        SpecError: the image has several platforms, which this format cannot hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as target:
            stream_archive(store, root, name, target)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def stream_archive(store: ContentStore, root: Descriptor, name: str, target: IO[bytes]) -> None:
    """Write the archive to a stream.

    Raises:
        SpecError: the image has several platforms.
    """
    manifest = read_manifest(store, root)
    if manifest.is_index:
        raise SpecError(
            f"{name} has several platforms, and an archive holds one",
            hint="choose one with --platform, or write an OCI layout with --output oci:DIR",
        )
    data = json.loads(manifest.raw)
    layers = [f"blobs/sha256/{layer['digest'].removeprefix('sha256:')}" for layer in data["layers"]]
    config = f"blobs/sha256/{data['config']['digest'].removeprefix('sha256:')}"
    names = {_CONTAINERD_NAME: str(Reference.parse(name)), _NAME: name.rpartition(":")[2]}
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{**root.to_json(), "annotations": names}],
    }
    docker = [{"Config": config, "RepoTags": [name], "Layers": layers}]
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for path, value in (
            ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
            ("index.json", index),
            ("manifest.json", docker),
        ):
            content = json.dumps(value, separators=(",", ":")).encode()
            tar.addfile(_entry(path, len(content)), io.BytesIO(content))
        for descriptor in contents(store, root):
            with store.open(descriptor.digest) as blob:
                entry = _entry(f"blobs/sha256/{descriptor.digest.removeprefix('sha256:')}", descriptor.size)
                tar.addfile(entry, blob)


def write_layout(store: ContentStore, root: Descriptor, name: str, folder: Path) -> None:
    """Add an image to an OCI layout folder under its name, replacing what had the name."""
    layout = OCILayout(folder)
    for descriptor in contents(store, root):
        target = layout.path(descriptor.digest)
        if not target.exists() or target.stat().st_size != descriptor.size:
            with store.open(descriptor.digest) as source:
                layout.add(descriptor, source)
    with _locked(folder):
        listed = layout.roots() if (folder / "index.json").exists() else ()
        others = [item for item in listed if item.annotations.get(_NAME) != name]
        layout.set_root(*others, root.replace(annotations={_NAME: name}))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Several builds may write to one layout; the list of its images is changed by one at a time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def contents(store: ContentStore, root: Descriptor) -> Iterator[Descriptor]:
    """Every blob of an image, each once: manifests first, as their digests are needed first."""
    seen: set[str] = set()

    def visit(descriptor: Descriptor) -> Iterator[Descriptor]:
        if descriptor.digest in seen:
            return
        seen.add(descriptor.digest)
        yield descriptor
        manifest = read_manifest(store, descriptor)
        for child in manifest.children:
            yield from visit(child)
        for blob in manifest.blobs:
            if blob.digest not in seen:
                seen.add(blob.digest)
                yield blob

    yield from visit(root)


def read_manifest(store: ContentStore, descriptor: Descriptor) -> Manifest:
    """A manifest of a store."""
    with store.open(descriptor.digest) as blob:
        return Manifest.of(blob.read(), descriptor.media_type)


def _entry(path: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = size, 0o644
    return entry
