"""A double of the builder port: makes small images of its own in memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from imagebuilder.builders.events import Log, Step
from imagebuilder.builders.port import Builder, BuildRequest, Built
from imagebuilder.registry import media_types
from imagebuilder.registry.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.builders.events import Emit
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.spec.platform import Platform


class FixedBuilder(Builder):
    """Makes an image that says what it was asked for; `failures` are raised instead, by the name of the request.

    It waits for `gate` first, like a build that takes its time. `requests` are those it got; `begun` says which have
    begun, by their names.
    """

    def __init__(
        self, failures: Mapping[str, Exception] | None = None, gate: Mapping[str, threading.Event] | None = None
    ) -> None:
        self.failures = dict(failures or {})
        self.gate = dict(gate or {})
        self.requests: list[BuildRequest] = []
        self.cancelled: list[str] = []
        self.begun: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def build(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """Make one image.

        Raises:
            KeyboardInterrupt: `cancel` was set.
        """
        self.requests.append(request)
        emit(Step(request.name, "1", request.plan.titles[0], "started", 0))
        self.begun[request.name].set()
        gate = self.gate.get(request.name)
        while not cancel.is_set() and gate is not None and not gate.wait(0.01):
            pass
        if cancel.is_set():
            self.cancelled.append(request.name)
            raise KeyboardInterrupt
        if request.name in self.failures:
            emit(Step(request.name, "1", request.plan.titles[0], "failed", 0, 0.0))
            raise self.failures[request.name]
        emit(Log(request.name, "1", f"making {request.plan.titles[0]}"))
        store = MemoryStore()
        children = [_image(store, request, platform) for platform in request.platforms]
        emit(Step(request.name, "1", request.plan.titles[0], "done", 0, 0.0))
        return Built(store, children[0] if len(children) == 1 else _index(store, children))


def _image(store: MemoryStore, request: BuildRequest, platform: Platform) -> Descriptor:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        content = "\n".join((str(platform), *request.plan.titles)).encode()
        entry = tarfile.TarInfo("made-by")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    data = layer.getvalue()
    config = {
        "os": platform.os,
        "architecture": platform.architecture,
        "variant": platform.variant,
        "config": {"Labels": dict(request.plan.labels)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}"]},
        "history": [{"created_by": "FixedBuilder"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": store.add(json.dumps(config).encode(), media_types.OCI_CONFIG).to_json(),
        "layers": [store.add(gzip.compress(data, mtime=0), media_types.OCI_LAYER).to_json()],
    }
    return store.add(json.dumps(manifest).encode(), media_types.OCI_MANIFEST).replace(platform=platform)


def _index(store: MemoryStore, children: list[Descriptor]) -> Descriptor:
    index = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [child.to_json() for child in children],
    }
    return store.add(json.dumps(index).encode(), media_types.OCI_INDEX)
