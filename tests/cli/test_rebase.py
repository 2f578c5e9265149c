from __future__ import annotations

import json

import pytest

from imagebuilder.registry import Client, MemoryStore, push
from imagebuilder.registry import media_types as types
from imagebuilder.spec.reference import Reference


def push_base(uri, **settings):
    """A base without layers."""
    store = MemoryStore()
    config = {"os": "linux", "architecture": "amd64", "config": settings, "rootfs": {"type": "layers", "diff_ids": []}}
    document = {
        "schemaVersion": 2,
        "mediaType": types.OCI_MANIFEST,
        "config": store.add(json.dumps(config).encode(), types.OCI_CONFIG).to_json(),
        "layers": [],
    }
    with Client() as client:
        push(client, store, store.add(json.dumps(document).encode(), types.OCI_MANIFEST), Reference.parse(uri))


@pytest.fixture
def image(project, registry):
    """An image on `base:1`, and its reference."""
    push_base(f"{registry.host}/base:1", Env=["A=1"])
    project.write("main.py", "print()")
    project.spec(
        f"app = Image.from_base('{registry.host}/base:1', name='app').with_source_file('main.py', '/srv/main.py')"
    )
    ended = project.run("build", "spec.py", "--registry", registry.host, "--builder", "direct")
    assert ended.code == 0
    return ended.out.partition("@")[0]


def test_a_base_that_moved(project, registry, image):
    push_base(f"{registry.host}/base:1", Env=["A=2"])
    dry = project.run("rebase", image, "--base", f"{registry.host}/base:1", "--dry-run")
    assert (dry.code, dry.err.splitlines()[-1]) == (0, "nothing was pushed")
    ended = project.run("rebase", image, "--base", f"{registry.host}/base:1")
    assert (ended.code, ended.out) == (0, dry.out)
    assert ended.out.startswith(f"{image}@sha256:")
    assert "1 layer stays" in ended.err
    assert "pushed " in ended.err
    again = project.run("rebase", image, "--base", f"{registry.host}/base:1")
    assert "stands on" in again.err
    assert "was there" in again.err


def test_json(project, registry, image):
    push_base(f"{registry.host}/base:2", Env=["A=2"])
    ended = project.run("rebase", image, "--base", f"{registry.host}/base:2", "--json")
    assert ended.code == 0
    found = ended.json
    assert found["image"] == image
    assert found["uri"] == f"{registry.host}/app:{found['identifier']}" != image
    assert (found["changed"], found["pushed"]) == (True, True)
    (platform,) = found["platforms"]
    assert platform["platform"] == "linux/amd64"
    assert (platform["kept"], platform["remade"]) == (1, 0)


def test_what_cannot_be_rebased(project, registry, image, push_image):
    push_image(f"{registry.host}/foreign:1")
    ended = project.run("rebase", f"{registry.host}/foreign:1", "--base", f"{registry.host}/base:1")
    assert ended.code == 1
    assert "cannot be rebased: imagebuild did not make it" in ended.err
    assert "hint:" in ended.err
    assert project.run("rebase", image).code == 2
    assert project.run("rebase", "A B", "--base", "x").code == 2
    digest = project.run("rebase", image, "--base", f"{registry.host}/base:1", "--to", f"app@sha256:{'0' * 64}")
    assert digest.code == 2
    assert project.run("rebase", image, "--base", f"{registry.host}/none:1").code == 3
