from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder.registry import Client, MemoryStore, push
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from conftest import FakeBuilder, Project

    from imagebuilder.registry import MemoryRegistry

SPEC = """
app = Image.from_base("{host}/base:1", name="team/app", registry="{host}").with_env_vars({{"A": "b"}})
other = app.with_workdir("/x")
"""


@pytest.fixture
def pushed(project: Project, registry: MemoryRegistry, push_image: Any, builder: FakeBuilder) -> str:
    """An image of a locked spec, built and pushed; returns its reference."""
    push_image(f"{registry.host}/base:1")
    project.spec(SPEC.format(host=registry.host))
    assert project.run("lock", "spec.py").code == 0
    ended = project.run("build", "--locked", "spec.py", "--name", "app", "--json")
    assert ended.code == 0, ended.err
    uri: str = ended.json["images"][0]["uri"]
    return uri


@pytest.mark.parametrize("spec", [(), ("spec.py",), ("spec.py:app",)])
def test_the_same(project: Project, pushed: str, spec: tuple[str, ...]) -> None:
    ended = project.run("verify", pushed, *spec)
    assert (ended.code, ended.out.split()[0], ended.out.strip().endswith("spec.py:app, locked")) == (0, "same", True)
    document = project.run("verify", pushed, *spec, "--json").json
    assert (document["same"], document["locked"], document["differences"]) == (True, True, [])
    assert document["digest"] == document["derived"]


def test_without_a_lock(project: Project, pushed: str) -> None:
    uri = project.run("build", "--no-lock", "spec.py", "--name", "app", "--json").json["images"][0]["uri"]
    assert uri != pushed
    document = project.run("verify", uri, "--json").json
    assert (document["same"], document["locked"]) == (True, False)


def test_it_differs(project: Project, pushed: str) -> None:
    """Somebody put another image under the tag, with the labels of the right one."""
    reference = Reference.parse(pushed)
    with Client() as client:
        manifest = client.manifest(reference)
        assert manifest.config is not None
        config = json.loads(client.blob(reference, manifest.config))
        config["config"]["Entrypoint"] = ["/bin/evil"]
        store = MemoryStore()
        for layer in manifest.layers:
            store.add(client.blob(reference, layer), layer.media_type)
        document = {
            **manifest.document,
            "config": store.add(json.dumps(config).encode(), manifest.config.media_type).to_json(),
        }
        push(client, store, store.add(json.dumps(document).encode(), manifest.media_type), reference)
    ended = project.run("verify", pushed)
    assert ended.code == 1
    assert "config: Entrypoint differs" in ended.out
    assert project.run("verify", pushed, "--json").json["differences"] == ["config: Entrypoint differs"]


def test_another_spec(project: Project, pushed: str) -> None:
    project.spec((project.folder / "spec.py").read_text().partition("\n")[2].replace('"b"', '"c"'))
    ended = project.run("verify", pushed, "spec.py")
    assert ended.code == 1
    assert "spec.py:app, locked has another identifier\n         layer 1, env vars: its settings changed" in ended.out
    ended = project.run("verify", pushed)
    assert (ended.code, "no spec was found that makes" in ended.err) == (3, True)
    (project.folder / "spec.py").unlink()
    (project.folder / "imagebuilder.lock").unlink()
    ended = project.run("verify", pushed, "--json")
    assert (ended.code, ended.json["error"]["exit_code"]) == (3, 3)


def test_what_cannot_be_found_out(project: Project, pushed: str, registry: MemoryRegistry, push_image: Any) -> None:
    assert project.run("verify", f"{registry.host}/team/app:none").code == 1
    push_image(f"{registry.host}/foreign:1")
    ended = project.run("verify", f"{registry.host}/foreign:1")
    assert (ended.code, "does not say what it was made from" in ended.err) == (3, True)
    assert project.run("verify", "127.0.0.1:1/team/app:x").code == 3
    assert project.run("verify", "Not A Reference").code == 2
    ended = project.run("verify", pushed, "spec.py:nobody")
    assert (ended.code, "nobody" in ended.err) == (2, True)


def test_nothing_is_pushed_and_nothing_left(
    project: Project, pushed: str, builder: FakeBuilder, registry: MemoryRegistry
) -> None:
    before = dict(registry.contents.repository("team/app").tags)
    builder.failure = KeyboardInterrupt()
    assert project.run("verify", pushed).code == 130
    builder.failure = None
    assert project.run("verify", pushed).code == 0
    assert dict(registry.contents.repository("team/app").tags) == before
    work = project.folder.parent / "home" / ".cache" / "imagebuilder" / "work"
    assert [path for path in work.iterdir() if path.is_dir()] == []
