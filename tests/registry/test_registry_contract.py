"""What every registry does, in memory and real."""

from __future__ import annotations

import io
import json
import socket
import threading
from contextlib import suppress

import pytest

from imagebuilder.errors import PushError, RegistryError
from imagebuilder.registry import (
    Absent,
    Client,
    Descriptor,
    HostSettings,
    Present,
    RegistrySettings,
    check,
    push,
    verify_pushed,
)
from imagebuilder.registry import media_types as types
from imagebuilder.spec.platform import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def test_nothing_is_there_at_first(client, any_ref):
    assert client.resolve(any_ref) is None
    assert client.find_manifest(any_ref) is None
    assert not client.has_blob(any_ref, f"sha256:{'0' * 64}")
    assert isinstance(check(client, any_ref, (AMD64,)), Absent)
    with pytest.raises(RegistryError) as caught:
        client.manifest(any_ref)
    assert caught.value.status == 404
    with pytest.raises(RegistryError) as caught:
        client.tags(any_ref)
    assert caught.value.status == 404


def test_an_index_is_pushed_and_read_back(client, any_ref, images):
    root = images.multi(AMD64, ARM64)
    pushed = push(client, images.store, root, any_ref)
    assert pushed.digest == root.digest
    assert pushed.bytes_uploaded == sum(map(len, images.store.contents.values()))
    assert verify_pushed(client, any_ref, root.digest, (ARM64, AMD64)) == Present(root.digest, (AMD64, ARM64))
    assert client.manifest(any_ref).raw == images.store.contents[root.digest]
    found = client.resolve(any_ref)
    assert (found.digest, found.size, found.media_type) == (root.digest, root.size, types.OCI_INDEX)
    assert client.tags(any_ref) == ["1"]


@pytest.mark.parametrize("docker", [False, True])
def test_single_images_of_both_kinds(client, any_ref, images, docker):
    root = images.image(ARM64, docker=docker)
    push(client, images.store, root, any_ref)
    assert check(client, any_ref, (ARM64,)) == Present(root.digest, (ARM64,))
    assert isinstance(check(client, any_ref, (AMD64,)), Absent)


def test_a_docker_list(client, any_ref, images):
    root = images.index(images.image(AMD64, docker=True), docker=True)
    push(client, images.store, root, any_ref)
    assert check(client, any_ref, (AMD64,), deep=True) == Present(root.digest, (AMD64,))


def test_a_second_push_moves_manifests_alone(client, any_ref, images):
    root = images.image(layers=(b"a" * 100_000, b"b"))
    push(client, images.store, root, any_ref)
    again = push(client, images.store, root, any_ref)
    assert again.bytes_uploaded == root.size
    assert len(again.skipped) == 3


def test_blobs_are_mounted(client, any_ref, images):
    root = images.image()
    push(client, images.store, root, any_ref)
    other = any_ref.with_tag("1").replace(repository=f"{any_ref.repository}-copy")
    pushed = push(client, images.store, root, other, mount_from=("does/not-exist", any_ref.repository))
    assert len(pushed.mounted) == 2
    assert pushed.bytes_uploaded == root.size


def test_a_blob_in_chunks(any_registry, any_ref, images):
    content = bytes(range(256)) * 1000
    blob = Descriptor.of(types.OCI_LAYER, content)
    hosts = {any_registry: HostSettings(chunk_size=100_000)}
    with Client(RegistrySettings(hosts=hosts)) as chunked:
        chunked.upload_blob(any_ref, blob, lambda: io.BytesIO(content))
        assert chunked.blob(any_ref, blob) == content


@pytest.mark.parametrize("size", [0, 1, 300_000, 2_000_000])
def test_blobs_of_many_sizes(client, any_ref, size):
    content = b"x" * size
    blob = Descriptor.of(types.OCI_LAYER, content)
    sent: list[int] = []
    client.upload_blob(any_ref, blob, lambda: io.BytesIO(content), progress=sent.append)
    assert client.has_blob(any_ref, blob.digest)
    assert client.blob(any_ref, blob) == content
    assert sent == sorted(sent)
    assert not size or sent[-1] == size


def test_can_push_leaves_nothing(client, any_ref):
    assert client.can_push(any_ref)
    assert client.find_manifest(any_ref) is None


def test_a_manifest_without_its_blobs_is_refused(client, any_ref, images):
    root = images.image()
    with pytest.raises(PushError, match="MANIFEST_BLOB_UNKNOWN"):
        client.put_manifest(any_ref, images.store.contents[root.digest], root.media_type)
    assert client.resolve(any_ref) is None


def test_damaged_content_never_becomes_a_tag(client, any_ref, images):
    root = images.image(layers=(b"right",))
    layer = Descriptor.of(types.OCI_LAYER, b"right")
    images.store.contents[layer.digest] = b"wrong"
    with pytest.raises(PushError, match="damaged"):
        push(client, images.store, root, any_ref)
    assert client.resolve(any_ref) is None


def test_attestations_are_pushed_and_are_no_platform(client, any_ref, images):
    image = images.image(AMD64)
    root = images.index(image, images.attestation(image))
    push(client, images.store, root, any_ref)
    assert check(client, any_ref, (AMD64,)) == Present(root.digest, (AMD64,))
    listed = json.loads(client.manifest(any_ref).raw)["manifests"]
    assert client.resolve(any_ref.with_digest(listed[1]["digest"])) is not None


def test_tags_move(client, any_ref, images):
    first, second = images.image(layers=(b"1",)), images.image(layers=(b"2",))
    push(client, images.store, first, any_ref)
    push(client, images.store, second, any_ref)
    assert client.resolve(any_ref).digest == second.digest
    assert client.resolve(any_ref.with_digest(first.digest)) is not None


class CuttingProxy:
    """Passes bytes on to a registry, and cuts the first connections that have sent so many."""

    def __init__(self, host: str, limit: int, cuts: int) -> None:
        self.target, self.limit, self.cuts = host, limit, cuts
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            name, _, port = self.target.rpartition(":")
            far = socket.create_connection((name, int(port)))
            threading.Thread(target=self.pump, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, False), daemon=True).start()

    def pump(self, one: socket.socket, other: socket.socket, up: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := one.recv(65536):
                passed += len(data)
                if up and passed > self.limit and self.cuts > 0:
                    self.cuts -= 1
                    break
                other.sendall(data)
        for sock in (one, other):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        one.close()


def test_a_cut_upload_arrives_whole(client, any_registry, any_ref, images):
    content = bytes(range(251)) * 20_000
    proxy = CuttingProxy(any_registry, len(content) * 4 // 10, cuts=2)
    there = any_ref.replace(registry=proxy.host)
    root = images.image(layers=(content,))
    push(client, images.store, root, there)
    assert proxy.cuts == 0
    assert client.blob(any_ref, Descriptor.of(types.OCI_LAYER, content)) == content
    proxy.listener.close()
