from __future__ import annotations

import pytest

from imagebuilder.registry import Fault

SPEC = "image = Image.from_debian_base('3.11', name='web', registry='{host}/team')"


def test_references_present_and_absent(project, registry, push_image):
    digest = push_image(f"{registry.host}/team/app:1")
    ended = project.run("check", f"{registry.host}/team/app:1")
    assert (ended.code, ended.out) == (0, f"present  {registry.host}/team/app:1  {digest}\n")
    ended = project.run("check", f"{registry.host}/team/app:1", f"{registry.host}/team/app:2", "--json")
    assert ended.code == 1
    assert ended.json == [
        {"ref": f"{registry.host}/team/app:1", "verdict": "present", "reason": None, "digest": digest, "platforms": []},
        {
            "ref": f"{registry.host}/team/app:2",
            "verdict": "absent",
            "reason": f"{registry.host}/team/app:2 does not exist",
            "digest": None,
            "platforms": [],
        },
    ]


def test_a_platform_is_asked_for(project, registry, push_image):
    push_image(f"{registry.host}/team/app:1")
    ended = project.run("check", f"{registry.host}/team/app:1", "--platform", "amd64", "--json")
    assert (ended.code, ended.json[0]["platforms"]) == (0, ["linux/amd64"])
    ended = project.run("check", f"{registry.host}/team/app:1", "--platform", "linux/amd64,linux/arm64", "--json")
    assert ended.code == 1
    assert "lacks linux/arm64" in ended.json[0]["reason"]


def test_unknown_wins_over_absent(project, registry):
    registry.fault(Fault(path="/team/denied/", status=403, times=None))
    ended = project.run("check", f"{registry.host}/team/denied:1", f"{registry.host}/team/app:1", "--json")
    assert ended.code == 3
    assert [answer["verdict"] for answer in ended.json] == ["unknown", "absent"]
    ended = project.run("check", f"{registry.host}/team/denied:1")
    assert ended.out.startswith("unknown  ")


def test_the_images_of_a_spec(project, registry, push_image):
    spec = project.spec(SPEC.format(host=registry.host))
    uri = project.run("identify", spec).out.split()[1]
    assert project.run("check", spec, "--json").json[0]["ref"] == uri
    push_image(uri)
    ended = project.run("check", spec, f"{registry.host}/team/other:1", "--json")
    assert [(answer["ref"], answer["verdict"]) for answer in ended.json] == [
        (uri, "present"),
        (f"{registry.host}/team/other:1", "absent"),
    ]
    assert project.run("check", spec, "--name", "web").code == 0


def test_an_image_without_a_registry_is_looked_for_in_docker(project):
    spec = project.spec("image = Image.from_debian_base('3.11', name='web')")
    ended = project.run("check", spec, "--json")
    assert ended.code == 3
    assert "no Docker answers" in ended.json[0]["reason"]


@pytest.mark.parametrize("target", ["missing.py", "a/missing.py"])
def test_a_missing_file_is_no_reference(project, target):
    ended = project.run("check", target)
    assert (ended.code, "does not exist" in ended.err) == (2, True)
