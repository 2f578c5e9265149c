"""Small bases in a registry in memory, and what is assembled on them, pushed there and read back."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imagebuilder.bases import BaseUsers
from imagebuilder.builders.auto import AutoBuilder
from imagebuilder.builders.direct.builder import DirectBuilder
from imagebuilder.builders.direct.registry_map import RegistryMap
from imagebuilder.builders.fixed import FixedBuilder
from imagebuilder.builders.site import Site
from imagebuilder.engine import Engine, Options
from imagebuilder.identity.recipe import DEFAULT_EPOCH, recipe
from imagebuilder.identity.resolver import Resolver
from imagebuilder.outputs.docker import Docker
from imagebuilder.outputs.output import Push
from imagebuilder.registry import push
from imagebuilder.registry.store import MemoryStore
from imagebuilder.sources import Sources
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference
from imagebuilder.vault import Vault

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from imagebuilder import Image
    from imagebuilder.builders.events import BuildEvent
    from imagebuilder.builders.port import Builder
    from imagebuilder.registry import Client
    from imagebuilder.registry.memory.server import MemoryRegistry

AMD64 = Platform("linux", "amd64")
OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
DPKG = "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n\nPackage: python3.11\nVersion: 3.11.2-6\n\n"
ELF = b"\x7fELF rest"

Entry = tuple[str, Any]


def no_sdk(wanted: Any) -> Any:
    raise AssertionError(f"{wanted} was not asked for")


def tar_of(entries: dict[str, Any]) -> bytes:
    """A layer: a path with a slash behind is a folder, `-> x` a link, `= x` a hard one, the rest are files."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, what in entries.items():
            info = tarfile.TarInfo(path.rstrip("/"))
            data = b""
            if path.endswith("/"):
                info.type = tarfile.DIRTYPE
                info.mode, info.uid, info.gid = what or (0o755, 0, 0)
            elif isinstance(what, str) and what.startswith(("-> ", "= ")):
                info.type = tarfile.SYMTYPE if what.startswith("->") else tarfile.LNKTYPE
                info.linkname = what.split(" ", 1)[1]
            else:
                data = what.encode() if isinstance(what, str) else what
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/sbin/nologin\n"
DEBIAN = {
    "etc/": None,
    "etc/passwd": PASSWD,
    "etc/group": "root:x:0:\nusers:x:100:\n",
    "etc/skel/": None,
    "etc/skel/.profile": "profile\n",
    "etc/login.defs": "UMASK\t\t022\n#HOME_MODE 0700\n",
    "usr/": None,
    "usr/bin/": None,
    "usr/bin/python3.11": ELF,
    "usr/bin/python3": "-> python3.11",
    "bin": "-> usr/bin",
    "lib": "-> usr/lib",
    "usr/lib/": None,
    "tmp/": (0o1777, 0, 0),
    "var/lib/dpkg/": None,
    "var/lib/dpkg/status": DPKG,
}


@dataclass
class Made:
    """An image that was read back: its config, its manifest, the merged tree of its layers, and what was said."""

    config: dict[str, Any]
    manifest: dict[str, Any]
    tree: dict[str, tarfile.TarInfo]
    content: dict[str, bytes]
    digest: str
    layers: list[dict[str, tarfile.TarInfo]]

    @property
    def run(self) -> dict[str, Any]:
        return self.config["config"]

    def owner(self, path: str) -> tuple[int, int, int]:
        entry = self.tree[path]
        return entry.mode & 0o7777, entry.uid, entry.gid


@dataclass
class Bench:
    """A registry in memory, a cache folder, and builders on them."""

    registry: MemoryRegistry
    client: Client
    folder: Path
    buildkit: FixedBuilder = field(default_factory=FixedBuilder)
    events: list[BuildEvent] = field(default_factory=list)
    commands: bool = False
    site: Site = field(default_factory=Site)
    shares: str | None = None  # "read" or "write"

    def direct(self, **environ: str) -> DirectBuilder:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return DirectBuilder(self.folder / "cache", self.client, {**kept, **environ}, registry_map=self.registry_map())

    def registry_map(self) -> RegistryMap | None:
        """Of the repository `cache`, where machines share one."""
        if self.shares is None:
            return None
        return RegistryMap(self.client, Reference.parse(f"{self.registry.host}/cache"), writable=self.shares == "write")

    def auto(self) -> AutoBuilder:
        return AutoBuilder(self.direct(), self.buildkit, self.client, self.folder / "cache")

    def base(
        self,
        *layers: dict[str, Any],
        name: str = "base",
        platform: str = "amd64",
        docker: bool = False,
        raw: tuple[tuple[bytes, str], ...] = (),
        **settings: Any,
    ) -> str:
        """Push a base; `settings` are its config's `config`, or keys of the config itself in lower case."""
        store = MemoryStore()
        kind = f"{DOCKER}image.rootfs.diff.tar.gzip" if docker else f"{OCI}layer.v1.tar+gzip"
        tars = [tar_of(layer) for layer in layers]
        blobs = [(gzip.compress(data, mtime=0), kind) for data in tars] + list(raw)
        diffs = [hashlib.sha256(data).hexdigest() for data in [*tars, *(data for data, _ in raw)]]
        config: dict[str, Any] = {
            "os": "linux",
            "architecture": platform,
            "config": {key: value for key, value in settings.items() if key[0].isupper()},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}" for diff in diffs]},
            **{key: value for key, value in settings.items() if not key[0].isupper()},
        }
        manifest_type = f"{DOCKER}distribution.manifest.v2+json" if docker else f"{OCI}manifest.v1+json"
        config_type = f"{DOCKER}container.image.v1+json" if docker else f"{OCI}config.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": store.add(json.dumps(config).encode(), config_type).to_json(),
            "layers": [store.add(data, media_type).to_json() for data, media_type in blobs],
        }
        root = store.add(json.dumps(manifest).encode(), manifest_type)
        uri = f"{self.registry.host}/{name}:1"
        push(self.client, store, root, Reference.parse(uri))
        return uri

    def index(self, *uris: str, name: str = "many") -> str:
        store = MemoryStore()
        children = []
        for uri in uris:
            reference = Reference.parse(uri)
            manifest = self.client.manifest(reference)
            for blob in manifest.blobs:
                store.add(self.client.blob(reference, blob), blob.media_type)
            store.add(manifest.raw, manifest.media_type)
            platform = self.client.platform_of(reference, manifest)
            children.append(manifest.descriptor.replace(platform=platform).to_json())
        index = {"schemaVersion": 2, "mediaType": f"{OCI}index.v1+json", "manifests": children}
        root = store.add(json.dumps(index).encode(), f"{OCI}index.v1+json")
        push(self.client, store, root, Reference.parse(f"{self.registry.host}/{name}:1"))
        return f"{self.registry.host}/{name}:1"

    def engine(self, builder: Builder | None = None) -> Engine:
        return Engine(
            resolver=Resolver(recipe(DEFAULT_EPOCH), Sources),
            builder=builder or self.direct(),
            vault=Vault({}, {}),
            bases=BaseUsers(self.client, Docker({})),
            sdks=no_sdk,
            site=self.site,
        )

    def build(
        self, image: Image, builder: Builder | None = None, cancel: threading.Event | None = None, **options: Any
    ) -> Made:
        image = image.clone(name=image.name or "app", registry=self.registry.host)
        result = self.engine(builder).ensure(
            [(image.name or "app", image)],
            Push(self.client),
            Options(force=True, **options),
            self.events.append,
            cancel,
        )[0]
        return self.read(result.uri)

    def read(self, uri: str, platform: Platform = AMD64) -> Made:
        reference = Reference.parse(uri)
        manifest = self.client.manifest(reference)
        digest = manifest.digest
        if manifest.is_index:
            child = next(child for child in manifest.images if child.platform == platform)
            reference = reference.with_digest(child.digest)
            manifest = self.client.manifest(reference)
        assert manifest.config is not None
        config = json.loads(self.client.blob(reference, manifest.config))
        tree: dict[str, tarfile.TarInfo] = {}
        content: dict[str, bytes] = {}
        layers = []
        assert len(manifest.layers) == len(config["rootfs"]["diff_ids"])
        for layer, diff in zip(manifest.layers, config["rootfs"]["diff_ids"], strict=True):
            data = self.client.blob(reference, layer)
            data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
            assert diff == f"sha256:{hashlib.sha256(data).hexdigest()}"
            found: dict[str, tarfile.TarInfo] = {}
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for entry in tar:
                    path = entry.name.strip("/")
                    assert path not in found, f"{path} is twice in a layer"
                    found[path] = entry
                    stream = tar.extractfile(entry) if entry.isreg() else None
                    if stream:
                        content[path] = stream.read()
            tree |= found
            layers.append(found)
        return Made(config, dict(manifest.document), tree, content, digest, layers)
