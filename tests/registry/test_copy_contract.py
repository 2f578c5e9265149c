"""Copying between repositories of every registry, in memory and real."""

from __future__ import annotations

import json
import os

import pytest

from imagebuilder.errors import VerificationError
from imagebuilder.registry import Copier, copy, push
from imagebuilder.registry import media_types as types
from imagebuilder.spec.platform import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.fixture
def other(registry, any_ref, request):
    """The same image at another registry: the second real one where there is one, else one in memory."""
    second = os.environ.get("IMAGEBUILDER_TEST_REGISTRY_2")
    real = "real" in request.node.callspec.params.values()
    return any_ref.replace(registry=second if real and second else registry.host)


@pytest.mark.parametrize("docker", [False, True])
def test_bytes_types_and_digests_stay(client, any_ref, other, images, docker):
    image = images.image(AMD64, docker=docker)
    parts = [image, images.image(ARM64, (b"arm",), docker=docker)]
    if not docker:
        parts.append(images.attestation(image))
    root = images.index(*parts, docker=docker)
    push(client, images.store, root, any_ref)
    copied = copy(client, any_ref, other)
    assert copied.digest == root.digest
    assert copied.bytes_moved == sum(map(len, images.store.contents.values()))
    for digest in (root.digest, *(part.digest for part in parts)):
        before, after = (client.manifest(ref.with_digest(digest)) for ref in (any_ref, other))
        assert (before.raw, before.media_type) == (after.raw, after.media_type)
        for blob in after.blobs:
            assert client.blob(other, blob) == images.store.contents[blob.digest]
    assert client.tags(other) == ["1"]


def test_nothing_moves_twice(client, any_ref, other, images):
    for root in (images.image(), images.multi(AMD64, ARM64)):
        push(client, images.store, root, any_ref)
        assert copy(client, any_ref, other).bytes_moved
        again = copy(client, any_ref, other)
        assert (again.digest, again.bytes_moved, again.mounted) == (root.digest, 0, ())


def test_within_one_registry_blobs_are_mounted(client, any_ref, images):
    root = images.image(layers=(b"one", b"two"))
    push(client, images.store, root, any_ref)
    copied = copy(client, any_ref, any_ref.replace(repository=f"{any_ref.repository}-copy"))
    assert (len(copied.mounted), copied.bytes_moved) == (3, root.size)
    retagged = copy(client, any_ref, any_ref.with_tag("2"))
    assert (len(retagged.skipped), retagged.bytes_moved, sorted(client.tags(any_ref))) == (3, root.size, ["1", "2"])


def test_many_images_move_a_shared_blob_once(client, any_ref, other, images):
    shared = b"shared" * 50_000
    refs = [any_ref.replace(repository=f"{any_ref.repository}/{number}") for number in range(8)]
    for number, ref in enumerate(refs):
        push(client, images.store, images.image(layers=(shared, b"own %d" % number)), ref)
    with Copier(client) as copier:
        started = [copier.start(ref, other.replace(repository=ref.repository)) for ref in refs]
        copied = [future.result() for future in started]
    assert sum(one.bytes_moved > len(shared) for one in copied) == 1
    assert sum(len(one.mounted) for one in copied) == 2 * 7  # the layer, and the config that all have
    for ref in refs:
        assert client.resolve(other.replace(repository=ref.repository)).digest == client.resolve(ref).digest


def test_half_of_the_blobs_are_there(client, any_ref, other, images):
    big, small = b"big" * 100_000, b"small"
    push(client, images.store, images.image(layers=(big,)), other.with_tag("before"))
    root = images.image(layers=(big, small))
    push(client, images.store, root, any_ref)
    copied = copy(client, any_ref, other)
    assert copied.bytes_moved == len(small) + root.size
    assert len(copied.skipped) == 2


def test_one_platform_of_an_index(client, any_ref, other, images):
    arm = images.image(ARM64, (b"arm",))
    push(client, images.store, images.index(images.image(AMD64), arm), any_ref)
    assert copy(client, any_ref, other, platforms=[ARM64]).digest == arm.digest
    assert client.manifest(other).media_type == types.OCI_MANIFEST
    with pytest.raises(VerificationError, match=r"lacks linux/s390x; it has linux/amd64, linux/arm64"):
        copy(client, any_ref, other, platforms=[Platform("linux", "s390x")])


def test_a_single_image_of_another_platform_is_refused(client, any_ref, other, images):
    push(client, images.store, images.image(AMD64), any_ref)
    with pytest.raises(VerificationError, match="is for linux/amd64, not linux/arm64"):
        copy(client, any_ref, other, platforms=[ARM64])
    assert copy(client, any_ref, other, platforms=[AMD64]).bytes_moved


def test_what_is_not_there_cannot_be_copied(client, any_ref, other):
    with pytest.raises(VerificationError, match="does not exist"):
        copy(client, any_ref, other)


def test_a_target_without_a_tag_takes_the_sources(client, any_ref, other, images):
    root = images.image()
    push(client, images.store, root, any_ref)
    copy(client, any_ref, other.replace(tag=None))
    assert client.tags(other) == ["1"]
    elsewhere = other.replace(repository=f"{other.repository}-bare", tag=None)
    copy(client, any_ref.with_digest(root.digest), elsewhere)
    assert client.resolve(elsewhere.with_digest(root.digest)) is not None


def test_an_artifact_without_layers(client, any_ref, other, images):
    config = images.store.add(b"{}", types.OCI_EMPTY)
    document = {"schemaVersion": 2, "mediaType": types.OCI_MANIFEST, "config": config.to_json(), "layers": []}
    root = images.store.add(json.dumps(document).encode(), types.OCI_MANIFEST)
    push(client, images.store, root, any_ref)
    assert copy(client, any_ref, other).digest == root.digest
