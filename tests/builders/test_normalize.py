from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagebuilder.builders import gzip_members
from imagebuilder.builders.normalize import Normalizer
from imagebuilder.errors import BuildError
from imagebuilder.registry import media_types as types
from imagebuilder.registry.descriptor import Descriptor

EPOCH = 315532800
LATE, EARLY = EPOCH + 100, EPOCH - 100


def normalize(cache, root, check=lambda: None):
    normalizer = Normalizer(cache.layout, cache.blobs, cache.memory, EPOCH, check)
    return normalizer.image(root), normalizer


def test_times_are_clamped_and_digests_follow(cache):
    root = cache.image((cache.tar(), types.OCI_LAYER))
    new, normalizer = normalize(cache, root)
    assert new.digest != root.digest
    manifest = cache.json(new)
    layer = Descriptor.parse(manifest["layers"][0])
    config = cache.json(Descriptor.parse(manifest["config"]))
    assert layer.media_type == types.OCI_LAYER_GZIP
    with cache.layout.open(layer.digest) as stream:
        data = stream.read()
    assert len(data) == layer.size
    assert f"sha256:{hashlib.sha256(gzip.decompress(data)).hexdigest()}" == config["rootfs"]["diff_ids"][0]
    with cache.layout.open(layer.digest) as stream, tarfile.open(fileobj=stream, mode="r:gz") as tar:
        assert [member.mtime for member in tar] == [EPOCH]
    assert {root.digest, new.digest, layer.digest} <= normalizer.used


def test_builds_at_other_times_give_one_digest(cache):
    roots = [cache.image((cache.tar(mtime=LATE + number), types.OCI_LAYER)) for number in range(3)]
    assert len({root.digest for root in roots}) == 3
    assert len({normalize(cache, root)[0].digest for root in roots}) == 1


def test_once_more_changes_nothing(cache):
    once, _ = normalize(cache, cache.image((cache.tar(), types.OCI_LAYER)))
    assert normalize(cache, once)[0].digest == once.digest


@pytest.mark.parametrize("mtime", [EARLY, LATE])
def test_a_layer_that_somebody_else_compressed(cache, mtime):
    """Without late times its blob stays, as registries may have it; and it is read once only."""
    root = cache.image((cache.tar(mtime=mtime), types.OCI_LAYER_GZIP))
    layer = cache.json(root)["layers"][0]
    new, _ = normalize(cache, root)
    assert (cache.json(new)["layers"][0] == layer) == (mtime == EARLY)
    cache.layout.path(layer["digest"]).write_bytes(b"now unreadable, and not read")
    if mtime == LATE:
        assert normalize(cache, root)[0].digest == new.digest


def test_an_unchanged_layer_is_remembered_too(cache):
    root = cache.image((cache.tar(mtime=EARLY), types.OCI_LAYER_GZIP))
    new, _ = normalize(cache, root)
    layer = cache.layout.path(cache.json(root)["layers"][0]["digest"])
    layer.write_bytes(b"?" * layer.stat().st_size)
    assert normalize(cache, root)[0].digest == new.digest


def test_layers_of_the_base_are_not_read(cache):
    root = cache.image((cache.tar(), types.OCI_LAYER_GZIP), created="2024-02-03T04:05:06Z")
    layer = cache.json(root)["layers"][0]
    cache.layout.path(layer["digest"]).unlink()
    new, _ = normalize(cache, root)
    assert cache.json(new)["layers"] == [layer]


def test_zstd_layers_stay(cache):
    root = cache.image((b"not even a tar", types.OCI_LAYER_ZSTD))
    new, _ = normalize(cache, root)
    assert cache.json(new)["layers"] == cache.json(root)["layers"]


def test_an_index(cache):
    children = [cache.image((cache.tar(content), types.OCI_LAYER)) for content in (b"a", b"b")]
    index = {
        "schemaVersion": 2,
        "mediaType": types.OCI_INDEX,
        "manifests": [{**child.to_json(), "platform": {"os": "linux", "architecture": "amd64"}} for child in children],
    }
    new, _ = normalize(cache, cache.layout.write(json.dumps(index).encode(), types.OCI_INDEX))
    for child in cache.json(new)["manifests"]:
        assert child["platform"] == {"os": "linux", "architecture": "amd64"}
        assert cache.json(Descriptor.parse(child))["layers"][0]["mediaType"] == types.OCI_LAYER_GZIP


@pytest.mark.parametrize("damage", ["gone", "short", "note"])
def test_what_is_remembered_is_trusted_only_where_it_is_there(cache, damage):
    root = cache.image((cache.tar(), types.OCI_LAYER))
    new, _ = normalize(cache, root)
    blob = cache.layout.path(cache.json(new)["layers"][0]["digest"])
    content = blob.read_bytes()
    if damage == "gone":
        blob.unlink()
    elif damage == "short":
        blob.write_bytes(content[:-1])
    else:
        for note in cache.memory.iterdir():
            note.write_text("{")
    assert normalize(cache, root)[0].digest == new.digest
    assert blob.read_bytes() == content


@pytest.mark.parametrize("media_type", [types.OCI_LAYER, types.OCI_LAYER_GZIP])
@pytest.mark.parametrize("damage", ["other bytes", "cut short"])
def test_a_damaged_blob_is_named_and_removed(cache, media_type, damage):
    """BuildKit sends only blobs that are missing: one that stays would fail every build to come."""
    root = cache.image((cache.tar(b"x" * 4000), media_type))
    layer = cache.layout.path(cache.json(root)["layers"][0]["digest"])
    data = layer.read_bytes()
    layer.write_bytes(
        data[:-600] if damage == "cut short" and media_type == types.OCI_LAYER else data[: len(data) // 2]
    )
    if damage == "other bytes" and media_type == types.OCI_LAYER:
        layer.write_bytes(data.replace(b"xxxx", b"yyyy"))
    with pytest.raises(BuildError, match="damaged") as caught:
        normalize(cache, root)
    assert caught.value.hint == "build the image again"
    assert not layer.exists()
    assert not list(cache.blobs.glob(".*"))


def test_a_cancel_leaves_nothing(cache):
    root = cache.image((cache.tar(), types.OCI_LAYER))
    before = sorted(cache.blobs.iterdir())

    def check():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        normalize(cache, root, check)
    assert sorted(cache.blobs.iterdir()) == before


def test_many_at_once(cache):
    root = cache.image(*((cache.tar(bytes([n]) * 100_000), types.OCI_LAYER) for n in range(4)))
    with ThreadPoolExecutor(8) as pool:
        found = {future.result()[0].digest for future in [pool.submit(normalize, cache, root) for _ in range(16)]}
    assert len(found) == 1
    for blob in cache.blobs.iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_a_kill_in_the_middle_leaves_no_half_blob(cache):
    root = cache.image((cache.tar(os.urandom(60_000_000)), types.OCI_LAYER))
    script = f"""
        from pathlib import Path
        from imagebuilder.builders.normalize import Normalizer
        from imagebuilder.registry import OCILayout
        from imagebuilder.registry.descriptor import Descriptor
        layout = OCILayout({str(cache.folder)!r})
        root = Descriptor({root.media_type!r}, {root.digest!r}, {root.size})
        print("go", flush=True)
        Normalizer(layout, Path({str(cache.blobs)!r}), Path({str(cache.memory)!r}), {EPOCH}).image(root)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        end = time.monotonic() + 10
        while time.monotonic() < end and not any(path.stat().st_size for path in cache.blobs.glob(".layer-*")):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert list(cache.blobs.glob(".layer-*"))
    for blob in cache.blobs.glob("[0-9a-f]*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_compression_does_not_depend_on_how_the_pieces_came(monkeypatch):
    monkeypatch.setattr(gzip_members, "_MEMBER", 1000)
    data = bytes(range(256)) * 40
    cuts = (
        [data],
        [data[:1], data[1:]],
        [data[at : at + 7] for at in range(0, len(data), 7)],
        [data[:999], data[999:]],
    )
    outputs = {b"".join(gzip_members.compress(cut, workers)) for cut in cuts for workers in (1, 3)}
    assert len(outputs) == 1
    assert gzip.decompress(outputs.pop()) == data
    assert b"".join(gzip_members.compress([])) == b""


def test_an_error_of_the_source_ends_the_compression():
    def pieces():
        yield b"x"
        raise ValueError("from the source")

    threads = threading.active_count()
    with pytest.raises(ValueError, match="from the source"):
        list(gzip_members.compress(pieces()))
    assert threading.active_count() == threads
