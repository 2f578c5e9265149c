from __future__ import annotations

import json

import pytest

from imagebuilder.bases import BaseUsers
from imagebuilder.errors import UnknownError
from imagebuilder.outputs.docker import Docker
from imagebuilder.registry import Client, MemoryRegistry, MemoryStore, push
from imagebuilder.registry import media_types as types
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

AMD64, ARM64, S390X = (Platform("linux", name) for name in ("amd64", "arm64", "s390x"))


@pytest.fixture
def world(tmp_path):
    """A registry in memory, a client, and a `docker` command that knows nothing until it is told."""
    command = tmp_path / "docker"
    command.write_text("#!/bin/sh\nexit 1\n")
    command.chmod(0o755)
    with MemoryRegistry() as registry, Client() as client:
        yield registry, client, command


def push_base(world, configs):
    registry, client, _ = world
    store = MemoryStore()
    children = []
    for platform, config in configs.items():
        manifest = {
            "schemaVersion": 2,
            "mediaType": types.OCI_MANIFEST,
            "config": store.add(config, types.OCI_CONFIG).to_json(),
            "layers": [],
        }
        child = store.add(json.dumps(manifest).encode(), types.OCI_MANIFEST)
        children.append(child.replace(platform=platform))
    root = children[0]
    if len(children) > 1:
        index = {"schemaVersion": 2, "mediaType": types.OCI_INDEX, "manifests": [c.to_json() for c in children]}
        root = store.add(json.dumps(index).encode(), types.OCI_INDEX)
    push(client, store, root, Reference.parse(f"{registry.host}/base:1"))
    return f"{registry.host}/base:1"


def users(world):
    return BaseUsers(world[1], Docker({"PATH": f"{world[2].parent}:/usr/bin:/bin"}))


def config_of(user):
    return json.dumps({"os": "linux", "architecture": "amd64", "config": {"User": user} if user else {}}).encode()


def test_each_platform_has_its_own(world):
    uri = push_base(world, {AMD64: config_of("one"), ARM64: config_of("1000:1000")})
    found = users(world)
    assert (found.user(uri, AMD64), found.user(uri, ARM64)) == ("one", "1000:1000")
    with pytest.raises(UnknownError, match=r"has no linux/s390x \(it has linux/amd64, linux/arm64\)"):
        found.user(uri, S390X)


def test_no_user_is_root_and_it_is_asked_once(world):
    uri = push_base(world, {AMD64: config_of(None)})
    found = users(world)
    assert found.user(uri, AMD64) == ""
    asked = len(world[0].seen)
    assert found.user(uri, AMD64) == ""
    assert len(world[0].seen) == asked


@pytest.mark.parametrize("config", [b"not json", b"[]", b"{}", b'{"config": 5}'])
def test_a_broken_config_is_not_root(world, config):
    uri = push_base(world, {AMD64: config})
    with pytest.raises(UnknownError, match=r"which user the base .* runs as: the config"):
        users(world).user(uri, AMD64)


def test_dockers_own_store_knows_bases_that_are_nowhere_else(world):
    found = {"Config": {"User": "local"}}
    world[2].write_text(f"#!/bin/sh\necho '{json.dumps(found)}'\n")
    assert users(world).user(f"{world[0].host}/only/here:1", AMD64) == "local"


def test_a_base_nobody_knows_is_not_root(world):
    with pytest.raises(UnknownError, match="only/here:1") as caught:
        users(world).user(f"{world[0].host}/only/here:1", AMD64)
    assert "with_user" in (caught.value.hint or "")
