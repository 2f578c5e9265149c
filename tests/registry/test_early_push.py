"""Blobs that are uploaded before their image is whole."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from imagebuilder.errors import DeniedError
from imagebuilder.registry import Client, Descriptor, EarlyPush, Fault, Manifest, MemoryRegistry, MemoryStore, push
from imagebuilder.registry import media_types as types
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from .conftest import Images


def layers_of(images: Images, digest: str) -> tuple[Descriptor, ...]:
    return Manifest.of(images.store.contents[digest]).layers


@pytest.fixture
def reference(registry: MemoryRegistry) -> Reference:
    return Reference.parse(f"{registry.host}/early/one:1")


def test_what_follows_finds_the_blobs_there(registry: MemoryRegistry, images: Images, reference: Reference) -> None:
    root = images.image(layers=(b"one" * 1000, b"two" * 1000))
    with Client() as client:
        layers = layers_of(images, root.digest)
        with EarlyPush(client, reference) as early:
            for layer in (*layers, *layers):
                early.add(images.store, layer)
            assert early.finish() == sum(layer.size for layer in layers)
        assert not registry.requests("PUT", "/manifests/")
        pushed = push(client, images.store, root, reference)
    assert set(pushed.skipped) == {layer.digest for layer in layers}
    assert len(registry.requests("PUT", "/uploads/")) == len(layers) + 1  # the config


def test_what_is_there_is_not_uploaded(registry: MemoryRegistry, images: Images, reference: Reference) -> None:
    root = images.image(layers=(b"here already",))
    with Client() as client:
        push(client, images.store, root, reference)
        before = len(registry.requests("PUT", "/uploads/"))
        with EarlyPush(client, reference) as early:
            early.add(images.store, layers_of(images, root.digest)[0])
            assert early.finish() == 0
    assert len(registry.requests("PUT", "/uploads/")) == before


def test_a_refusal_is_told_where_it_ends(registry: MemoryRegistry, reference: Reference) -> None:
    registry.fault(Fault("POST", "/uploads/", times=None, status=403))
    store = MemoryStore()
    blob = store.add(b"blob", types.OCI_LAYER)
    with Client() as client, EarlyPush(client, reference) as early:
        early.add(store, blob)
        with pytest.raises(DeniedError):
            early.finish()


def test_left_early_it_stops(registry: MemoryRegistry, reference: Reference) -> None:
    registry.fault(Fault("HEAD", "/blobs/", times=None, delay=0.2))
    store = MemoryStore()
    blobs = [store.add(bytes([number]) * 100, types.OCI_LAYER) for number in range(20)]
    with Client() as client, EarlyPush(client, reference, parallel=2) as early:
        for blob in blobs:
            early.add(store, blob)
    assert len(registry.requests("HEAD", "/blobs/")) <= 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("early-push")]


def test_who_waits_is_told_and_may_end_it(registry: MemoryRegistry, reference: Reference) -> None:
    registry.fault(Fault("HEAD", "/blobs/", times=None, delay=1.0))
    store = MemoryStore()
    blob = store.add(b"blob", types.OCI_LAYER)

    def tell(now: int, total: int) -> None:
        assert now <= total
        raise KeyboardInterrupt

    with Client() as client, EarlyPush(client, reference) as early:
        early.add(store, blob)
        with pytest.raises(KeyboardInterrupt):
            early.finish(tell)
