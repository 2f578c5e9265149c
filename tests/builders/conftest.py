from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder.registry import OCILayout
from imagebuilder.registry import media_types as types

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.registry.descriptor import Descriptor

EPOCH = 315532800


class Cache:
    """A cache folder that tests put images into, as BuildKit would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = OCILayout(folder)
        self.blobs = folder / "blobs" / "sha256"
        self.memory = folder / "normalized"

    def tar(self, content: bytes = b"x", mtime: float = EPOCH + 100) -> bytes:
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
            info = tarfile.TarInfo("file")
            info.size, info.mtime = len(content), mtime
            tar.addfile(info, io.BytesIO(content))
        return target.getvalue()

    def image(self, *layers: tuple[bytes, str], created: str = "1980-01-01T00:00:00Z") -> Descriptor:
        """An image of layers, each a tar and a media type."""
        listed, diffs = [], []
        for data, media_type in layers:
            diffs.append(f"sha256:{hashlib.sha256(data).hexdigest()}")
            blob = gzip.compress(data) if media_type.endswith("gzip") else data
            listed.append(self.layout.write(blob, media_type).to_json())
        config = {
            "os": "linux",
            "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": diffs},
            "history": [{"created": created}, {"empty_layer": True}] if listed else [],
        }
        config["history"] = [{"created": created} for _ in listed] + [{"empty_layer": True}]
        manifest = {
            "schemaVersion": 2,
            "mediaType": types.OCI_MANIFEST,
            "config": self.layout.write(json.dumps(config).encode(), types.OCI_CONFIG).to_json(),
            "layers": listed,
        }
        return self.layout.write(json.dumps(manifest).encode(), types.OCI_MANIFEST)

    def json(self, descriptor: Descriptor) -> dict[str, Any]:
        with self.layout.open(descriptor.digest) as stream:
            found = json.load(stream)
            assert isinstance(found, dict)
            return found


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")
