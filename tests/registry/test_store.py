"""Stores of content, in memory and on disk."""

from __future__ import annotations

import io
import json

import pytest

from imagebuilder.errors import VerificationError
from imagebuilder.registry import Descriptor, Manifest, MemoryStore, OCILayout, push
from imagebuilder.registry import media_types as types
from imagebuilder.spec.platform import Platform


@pytest.fixture(params=["memory", "layout"])
def filled(request, tmp_path):
    """A store with one blob, and its descriptor."""
    if request.param == "memory":
        store = MemoryStore()
        return store, store.add(b"content", types.OCI_LAYER)
    layout = OCILayout(tmp_path / "image")
    return layout, layout.write(b"content", types.OCI_LAYER)


def test_content_is_there(filled):
    store, descriptor = filled
    assert store.size(descriptor.digest) == descriptor.size == 7
    for _ in range(2):
        with store.open(descriptor.digest) as stream:
            assert stream.read() == b"content"


def test_content_is_not_there(filled):
    store, _ = filled
    absent = f"sha256:{'0' * 64}"
    for ask in (store.open, store.size):
        with pytest.raises(VerificationError, match=absent):
            ask(absent)


def test_a_layout_is_written_pushed_and_read(tmp_path, images, client, ref):
    root = images.multi(Platform("linux", "amd64"), Platform("linux", "arm64"))
    layout = OCILayout(tmp_path)
    for digest, content in images.store.contents.items():
        layout.add(Descriptor(types.OCI_LAYER, digest, len(content)), io.BytesIO(content))
    layout.set_root(root.replace(annotations={"org.opencontainers.image.ref.name": "app:1"}))
    again = OCILayout(str(tmp_path))
    assert again.root().digest == again.root("app:1").digest == root.digest
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert push(client, again, again.root(), ref).digest == root.digest
    with pytest.raises(VerificationError, match="0 images"):
        again.root("app:2")


def test_other_content_is_refused_and_leaves_nothing(tmp_path):
    layout = OCILayout(tmp_path)
    for content in (b"wrong", b"right and more", b""):
        with pytest.raises(VerificationError):
            layout.add(Descriptor.of(types.OCI_LAYER, b"right"), io.BytesIO(content))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "../x", "sha256:" + "A" * 64, "md5:" + "0" * 32, ""])
def test_a_digest_leads_nowhere_else(tmp_path, digest):
    with pytest.raises(VerificationError):
        OCILayout(tmp_path).open(digest)


@pytest.mark.parametrize("index", [None, "{", "[]", '{"manifests": 3}', '{"manifests": [{}]}'])
def test_a_broken_layout_is_named(tmp_path, index):
    if index is not None:
        (tmp_path / "index.json").write_text(index)
    with pytest.raises(VerificationError, match="not an OCI image layout"):
        OCILayout(tmp_path).roots()


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"mediaType": "x", "digest": "sha256:1", "size": 1},
        {"mediaType": "x", "digest": f"sha256:{'0' * 64}", "size": -1},
        {"mediaType": "x", "digest": f"sha256:{'0' * 64}", "size": True},
        {"mediaType": 1, "digest": f"sha256:{'0' * 64}", "size": 1},
    ],
)
def test_broken_descriptors(value):
    with pytest.raises(ValueError, match=r"."):
        Descriptor.parse(value)


def test_descriptors_come_back():
    value = {
        "mediaType": types.OCI_MANIFEST,
        "digest": f"sha512:{'0' * 128}",
        "size": 5,
        "platform": {"architecture": "arm", "os": "linux", "variant": "v6"},
        "annotations": {"a": "b"},
        "artifactType": "x/y",
        "urls": ["https://e.invalid/"],
    }
    assert Descriptor.parse(value).to_json() == value
    assert hash(Descriptor.parse(value)) == hash(Descriptor.parse(value))


def test_manifests_know_their_kind():
    assert Manifest.of(b'{"manifests": []}').is_index
    assert Manifest.of(b'{"layers": []}').media_type == types.OCI_MANIFEST
    assert Manifest.of(b'{"mediaType": "%s"}' % types.DOCKER_LIST.encode()).is_index
    for broken in (b"", b"{}", b"[]", b"\xff", b'{"mediaType": 3}'):
        with pytest.raises(ValueError, match=r"."):
            Manifest.of(broken)


def test_a_digest_of_another_kind(client, images, ref):
    root = images.image()
    push(client, images.store, root, ref)
    raw = images.store.contents[root.digest]
    import hashlib

    digest = f"sha512:{hashlib.sha512(raw).hexdigest()}"
    assert client.put_manifest(ref.with_digest(digest), raw, root.media_type) == digest
    assert client.manifest(ref.with_digest(digest)).digest == digest
