"""How long it takes to copy 50 images that share layers to another registry, beside `skopeo copy` one by one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from statistics import median

from row import Row

from imagebuilder.registry import Client, Copier, Descriptor, MemoryStore, push
from imagebuilder.registry import media_types as types
from imagebuilder.spec.reference import Reference

IMAGES = 50
ROUNDS = 3
SHARED = (12 << 20, 6 << 20, 2 << 20, 1 << 20)  # a base, its packages, wheels, settings
OWN = 64 << 10
_SOURCE = os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "localhost:5000")
_TARGET = os.environ.get("IMAGEBUILDER_TEST_REGISTRY_2", "localhost:5001")
_NAME = f"{IMAGES} images that share {len(SHARED)} layers, to a second registry"
_TARGET_WORDS = ">= 3 x faster"


def rows() -> list[Row]:
    """A round is new images, pushed to one registry, and copied to the other in both ways, each to its own names."""
    skopeo = shutil.which("skopeo")
    ours, theirs, again = [], [], []
    for number in range(ROUNDS + 1):  # the first one warms up
        run = uuid.uuid4().hex[:8]
        images = _prepare(run)
        taken = _copy(images, f"copy-{run}")
        if skopeo:
            # Other layers, so that the target's registry has none of them from our copies.
            other = _prepare(f"{run}-s")
            took = _skopeo(skopeo, other, f"skopeo-{run}")
        if number:
            ours.append(taken)
            again.append(_copy(images, f"copy-{run}"))
            if skopeo:
                theirs.append(took)
    mine = median(ours)
    repeated = Row("the same once more, nothing to move", f"{median(again):.2f} s", "", "", met=True)
    if not skopeo:
        why = "skopeo is not here: apt-get install skopeo"
        return [Row(_NAME, f"{mine:.2f} s", why, _TARGET_WORDS, met=False), repeated]
    ratio = median(theirs) / mine
    words = f"skopeo copy one by one {median(theirs):.2f} s, {ratio:.1f} x"
    return [Row(_NAME, f"{mine:.2f} s", words, _TARGET_WORDS, ratio >= 3), repeated]


def _prepare(run: str) -> list[Reference]:
    """Push images, each to a repository of its own, that share all layers but one."""
    store = MemoryStore()
    shared = [store.add(os.urandom(size), types.OCI_LAYER) for size in SHARED]
    references = []
    with Client() as client:
        for number in range(IMAGES):
            reference = Reference.parse(f"{_SOURCE}/bench-copy-{run}/image-{number}:1")
            root = _image(store, [*shared, store.add(os.urandom(OWN), types.OCI_LAYER)])
            push(client, store, root, reference, mount_from=(f"bench-copy-{run}/image-0",))
            references.append(reference)
    return references


def _image(store: MemoryStore, layers: list[Descriptor]) -> Descriptor:
    diff_ids = [layer.digest for layer in layers]
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    document = {
        "schemaVersion": 2,
        "mediaType": types.OCI_MANIFEST,
        "config": store.add(json.dumps(config).encode(), types.OCI_CONFIG).to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    return store.add(json.dumps(document).encode(), types.OCI_MANIFEST)


def _target(reference: Reference, folder: str) -> Reference:
    return Reference.parse(f"{_TARGET}/{folder}/{reference.repository}:1")


def _copy(images: list[Reference], folder: str) -> float:
    began = time.perf_counter()
    with Client() as client, Copier(client) as copier:
        for future in [copier.start(image, _target(image, folder)) for image in images]:
            future.result()
    return time.perf_counter() - began


def _skopeo(skopeo: str, images: list[Reference], folder: str) -> float:
    flags = ["copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
    began = time.perf_counter()
    for image in images:
        command = [skopeo, *flags, f"docker://{image}", f"docker://{_target(image, folder)}"]
        subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began
