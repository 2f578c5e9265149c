from __future__ import annotations

import io
import json
import os
import tarfile

import pytest

from imagebuilder import Image
from imagebuilder.builders.port import Built
from imagebuilder.errors import BuilderUnavailableError, SpecError, VerificationError, WorkError
from imagebuilder.identity.recipe import DEFAULT_EPOCH, recipe
from imagebuilder.identity.resolver import Resolver
from imagebuilder.outputs.archive import contents, stream_archive, write_layout
from imagebuilder.outputs.docker import Docker
from imagebuilder.outputs.output import Archive, Layout, Load, Push
from imagebuilder.registry import Absent, Client, MemoryRegistry, MemoryStore, OCILayout, Present
from imagebuilder.registry import media_types as types
from imagebuilder.registry.memory.fault import Fault
from imagebuilder.sources import Sources


def make(store=None, layers=(b"layer",), architecture="amd64"):
    store = store or MemoryStore()
    config = {"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": types.OCI_MANIFEST,
        "config": store.add(json.dumps(config).encode(), types.OCI_CONFIG).to_json(),
        "layers": [store.add(layer, types.OCI_LAYER).to_json() for layer in layers],
    }
    return Built(store, store.add(json.dumps(manifest).encode(), types.OCI_MANIFEST))


def identified(name="app", registry=None, **more):
    image = Image.from_debian_base("3.11", install_sdk=False, name=name, registry=registry, **more)
    return Resolver(recipe(DEFAULT_EPOCH), Sources).identify([(name, image)])[0]


def moved(*_):
    pass


def test_contents_are_each_once():
    built = make(layers=(b"same", b"same", b"other"))
    found = [descriptor.digest for descriptor in contents(built.store, built.root)]
    assert len(found) == len(set(found)) == 4
    assert found[0] == built.root.digest


def test_an_archive(tmp_path):
    built = make(layers=(b"one", b"two"))
    output = Archive(tmp_path / "deep" / "x.tar")
    published = output.publish(identified(), built, moved)
    assert published.digest == built.root.digest
    with tarfile.open(tmp_path / "deep" / "x.tar") as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
    [docker] = json.loads(files["manifest.json"])
    assert docker["RepoTags"] == [identified().uri]
    assert [files[layer] for layer in docker["Layers"]] == [b"one", b"two"]
    assert json.loads(files[docker["Config"]])["os"] == "linux"
    assert json.loads(files["index.json"])["manifests"][0]["digest"] == built.root.digest
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.tar"]


def test_a_half_written_archive_never_has_the_name(tmp_path):
    built = make()
    del built.store.contents[next(digest for digest, data in built.store.contents.items() if data == b"layer")]
    (tmp_path / "x.tar").write_text("before")
    with pytest.raises(VerificationError):
        Archive(tmp_path / "x.tar").publish(identified(), built, moved)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x.tar": "before"}


def test_an_archive_holds_one_platform():
    store = MemoryStore()
    children = [make(store, architecture=name).root.to_json() for name in ("amd64", "arm64")]
    index = store.add(
        json.dumps({"schemaVersion": 2, "mediaType": types.OCI_INDEX, "manifests": children}).encode(), types.OCI_INDEX
    )
    with pytest.raises(SpecError, match="several platforms"):
        stream_archive(store, index, "x:1", io.BytesIO())
    both = identified(platform=["linux/amd64", "linux/arm64"])
    for output in (Archive(None), Load(Docker({}))):
        with pytest.raises(SpecError, match=r"several platforms \(linux/amd64, linux/arm64\)"):
            output.check([both])
    assert isinstance(Layout(None).check([both])[0], Absent)


def test_a_layout_keeps_what_else_it_has(tmp_path):
    first, second, third = (make(layers=(name.encode(),)) for name in ("one", "two", "three"))
    for built, name in ((first, "a:1"), (second, "b:1"), (third, "a:1"), (third, "a:1")):
        write_layout(built.store, built.root, name, tmp_path)
    layout = OCILayout(tmp_path)
    assert layout.root("a:1").digest == third.root.digest
    assert layout.root("b:1").digest == second.root.digest
    assert len(layout.roots()) == 2


def test_a_layout_replaces_a_damaged_blob(tmp_path):
    built = make(layers=(b"content",))
    write_layout(built.store, built.root, "a:1", tmp_path)
    for blob in (tmp_path / "blobs" / "sha256").iterdir():
        if blob.read_bytes() == b"content":
            blob.write_bytes(b"cont")
    write_layout(built.store, built.root, "a:1", tmp_path)
    assert b"content" in [blob.read_bytes() for blob in (tmp_path / "blobs" / "sha256").iterdir()]


def test_a_push_is_read_back():
    with MemoryRegistry() as registry, Client() as client:
        item, built, seen = identified(registry=registry.host), make(layers=(b"x" * 5000,)), []
        output = Push(client)
        assert isinstance(output.check([item])[0], Absent)
        published = output.publish(item, built, lambda *args: seen.append(args))
        assert published.digest == built.root.digest
        assert published.platforms == ("linux/amd64",)
        assert seen[-1][1] == seen[-1][2]
        assert isinstance(output.check([item])[0], Present)
        assert output.may_push(item)


def test_a_push_of_another_platform_is_not_taken_for_it():
    with MemoryRegistry() as registry, Client() as client, pytest.raises(VerificationError):
        Push(client).publish(identified(registry=registry.host), make(architecture="arm64"), moved)


def test_a_registry_that_keeps_something_else():
    with MemoryRegistry() as registry, Client() as client:
        registry.fault(Fault(method="GET", path="manifests", corrupt=True, times=None))
        registry.fault(
            Fault(method="HEAD", path="manifests", headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"}, times=None)
        )
        with pytest.raises(Exception, match=r"digest|damaged|bytes"):
            Push(client).publish(identified(registry=registry.host), make(), moved)


@pytest.fixture
def docker(tmp_path):
    """A `docker` command that says what a test tells it to."""

    def make_docker(script):
        path = tmp_path / "bin" / "docker"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return Docker({"PATH": f"{path.parent}:{os.environ['PATH']}"})

    return make_docker


def test_docker_is_not_there():
    docker = Docker({"PATH": "/nonexistent"})
    assert (docker.answers(), docker.buildx(), docker.config("x")) == (None, None, None)
    built = make()
    with pytest.raises(BuilderUnavailableError):
        docker.load(built.store, built.root, "x:1")


def test_docker_does_not_answer(docker):
    assert docker("echo; exit 1").answers() is None
    assert docker("echo 26.1").answers() == "26.1"


def test_docker_refuses_an_image(docker):
    built = make(layers=(b"x" * 1_000_000,))
    for script in ("echo it is too big >&2; exit 1", "cat > /dev/null; echo it is too big >&2; exit 1"):
        with pytest.raises(WorkError, match="did not take x:1: it is too big"):
            docker(script).load(built.store, built.root, "x:1")


def test_docker_is_not_left_running_when_the_store_fails(docker):
    built = make()
    del built.store.contents[next(digest for digest, data in built.store.contents.items() if data == b"layer")]
    with pytest.raises(VerificationError):
        docker("cat > /dev/null").load(built.store, built.root, "x:1")


def test_an_image_of_that_name_that_is_another(docker):
    item = identified()
    label = {"io.imagebuilder.identifier": item.identity.identifier}

    def answer(labels, architecture="amd64"):
        found = {"Id": "sha256:1", "Os": "linux", "Architecture": architecture, "Config": {"Labels": labels}}
        return Load(docker(f"echo '{json.dumps(found)}'")).check([item])[0]

    assert answer(label) == Present("sha256:1", item.image.platforms)
    assert isinstance(answer({"io.imagebuilder.identifier": "other"}), Absent)
    assert isinstance(answer(None), Absent)
    assert isinstance(answer(label, "arm64"), Absent)


def test_a_load_that_did_not_happen(docker):
    with pytest.raises(VerificationError, match="was loaded into Docker, but"):
        Load(docker('case "$2" in load) cat > /dev/null ;; *) exit 1 ;; esac')).publish(identified(), make(), moved)
