from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING

import pytest

from imagebuilder.registry import (
    Client,
    Credential,
    CredentialStore,
    Descriptor,
    MemoryRegistry,
    MemoryStore,
    RegistrySettings,
)
from imagebuilder.registry import media_types as types
from imagebuilder.registry.memory.tokens import TokenService
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


class FakeClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Images:
    """Makes images in a store."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def image(
        self, platform: Platform | None = AMD64, layers: tuple[bytes, ...] = (b"layer",), docker: bool = False
    ) -> Descriptor:
        manifest_type = types.DOCKER_MANIFEST if docker else types.OCI_MANIFEST
        config_type = types.DOCKER_CONFIG if docker else types.OCI_CONFIG
        config: dict[str, object] = {"rootfs": {"type": "layers", "diff_ids": []}}
        if platform:
            config |= {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}
        listed = [self.store.add(layer, types.DOCKER_LAYER if docker else types.OCI_LAYER) for layer in layers]
        document = {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": self.store.add(json.dumps(config).encode(), config_type).to_json(),
            "layers": [layer.to_json() for layer in listed],
        }
        manifest = self.store.add(json.dumps(document).encode(), manifest_type)
        return manifest.replace(platform=platform)

    def index(self, *children: Descriptor, docker: bool = False) -> Descriptor:
        kind = types.DOCKER_LIST if docker else types.OCI_INDEX
        document = {"schemaVersion": 2, "mediaType": kind, "manifests": [child.to_json() for child in children]}
        return self.store.add(json.dumps(document).encode(), kind)

    def multi(self, *platforms: Platform) -> Descriptor:
        return self.index(*(self.image(platform, (str(platform).encode(),)) for platform in platforms))

    def attestation(self, subject: Descriptor) -> Descriptor:
        made = self.image(None, (b"provenance",))
        unknown = Platform("unknown", "unknown")
        notes = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject.digest}
        return made.replace(platform=unknown, annotations=notes)


@pytest.fixture
def images() -> Images:
    return Images()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry() -> Iterator[MemoryRegistry]:
    with MemoryRegistry() as running:
        yield running


@pytest.fixture
def private() -> Iterator[MemoryRegistry]:
    """Wants tokens; user `ann` with password `pw`, repository `public/app` for everybody."""
    with MemoryRegistry(tokens=TokenService({"ann": "pw"}, public=("public/app",))) as running:
        yield running


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as made:
        yield made


@pytest.fixture
def ann(private: MemoryRegistry) -> Iterator[Client]:
    with Client(credentials=CredentialStore(overrides={private.host: Credential("ann", "pw")})) as made:
        yield made


@pytest.fixture
def patient(clock: FakeClock) -> Iterator[Client]:
    """A client whose waits take no time, and whose stalls take little."""
    with Client(RegistrySettings(stall_timeout=0.3, connect_timeout=2.0), clock=clock) as made:
        yield made


@pytest.fixture
def ref(registry: MemoryRegistry) -> Reference:
    return Reference.parse(f"{registry.host}/team/app:1")


def real_registry() -> str:
    host = os.environ.get("IMAGEBUILDER_TEST_REGISTRY")
    if not host:
        pytest.fail("IMAGEBUILDER_TEST_REGISTRY is not set: run `scripts/engine up`, or name a registry's host:port")
    return host


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.registry)])
def any_registry(request: pytest.FixtureRequest) -> Iterator[str]:
    """The host of a registry, in memory and real."""
    if request.param == "real":
        yield real_registry()
    else:
        with MemoryRegistry() as running:
            yield running.host


@pytest.fixture
def any_ref(any_registry: str) -> Reference:
    return Reference.parse(f"{any_registry}/contract/{uuid.uuid4().hex}:1")
