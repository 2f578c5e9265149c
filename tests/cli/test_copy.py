from __future__ import annotations

import pytest

from imagebuilder.registry import Fault, MemoryRegistry


@pytest.fixture
def second():
    with MemoryRegistry() as running:
        yield running


def test_an_image_is_copied(project, registry, second, push_image):
    digest = push_image(f"{registry.host}/team/app:1")
    ended = project.run("copy", f"{registry.host}/team/app:1", f"{second.host}/prod/app:1")
    assert (ended.code, ended.out) == (0, f"{second.host}/prod/app:1@{digest}\n")
    assert "copied" in ended.err
    again = project.run("copy", f"{registry.host}/team/app:1", f"{second.host}/prod/app:1", "--json")
    assert again.json == {
        "src": f"{registry.host}/team/app:1",
        "dst": f"{second.host}/prod/app:1",
        "digest": digest,
        "bytes_moved": 0,
        "mounted": 0,
    }
    assert "was there" in project.run("copy", f"{registry.host}/team/app:1", f"{second.host}/prod/app").err


def test_blobs_are_mounted_within_a_registry(project, registry, push_image):
    push_image(f"{registry.host}/team/app:1")
    ended = project.run("copy", f"{registry.host}/team/app:1", f"{registry.host}/prod/app:1", "--json")
    assert ended.json["mounted"] == 2


def test_several_images_to_one_place(project, registry, second, push_image):
    refs = [f"{registry.host}/team/{name}:1" for name in ("app", "web")]
    for ref in refs:
        push_image(ref, {"name": ref})
    ended = project.run("copy", *refs, f"{second.host}/prod/", "--json")
    assert [document["dst"] for document in ended.json] == [f"{second.host}/prod/{name}:1" for name in ("app", "web")]
    assert project.run("copy", refs[0], f"{second.host}/other/", "--json").json["dst"] == f"{second.host}/other/app:1"


def test_one_of_several_that_fails(project, registry, second, push_image):
    push_image(f"{registry.host}/team/app:1")
    ended = project.run("copy", f"{registry.host}/team/app:1", f"{registry.host}/team/no:1", f"{second.host}/prod/")
    assert ended.code == 1
    assert "no:1 does not exist" in ended.err
    assert project.run("check", f"{second.host}/prod/app:1").code == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["a/b"], "name what to copy"),
        (["a/b", "c/d", "e/f"], "ends with a slash"),
        (["a/b:1", "c/b:1", "localhost:1/x/"], "would both become"),
        (["a/B", "c/d"], "is not an image reference"),
        (["a/b", "c/d", "--platform", "nonsense/arch/x/y"], "platform"),
    ],
)
def test_what_cannot_be_meant(project, args, words):
    ended = project.run("copy", *args)
    assert (ended.code, words in ended.err) == (2, True)


def test_exit_codes(project, registry, second, push_image):
    push_image(f"{registry.host}/team/app:1")
    assert project.run("copy", f"{registry.host}/team/no:1", f"{second.host}/prod/app:1").code == 1
    ended = project.run("copy", f"{registry.host}/team/app:1", f"{second.host}/prod/app:1", "--platform", "linux/arm64")
    assert ended.code == 1
    assert "is for linux/amd64" in ended.err
    second.fault(Fault("POST", times=None, status=403))
    ended = project.run("copy", f"{registry.host}/team/app:1", f"{second.host}/prod/app:1", "--json")
    assert ended.code == 3
    assert ended.json["error"]["kind"] == "DeniedError"
