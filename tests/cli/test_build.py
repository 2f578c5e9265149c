"""`imagebuild build` with a builder that takes no time; see test_e2e.py for a real one."""

from __future__ import annotations

import json
import re

import pytest

from imagebuilder.errors import BuildError
from imagebuilder.registry import Fault

SPEC = """
web = Image.from_debian_base('3.11', name='web', registry='{host}/team').with_pip_packages('numpy')
worker = Image.from_debian_base('3.12', name='worker', registry='{host}/team').with_pip_packages('numpy')
"""


@pytest.fixture
def spec(project, registry):
    return project.spec(SPEC.format(host=registry.host))


def tags(registry):
    return sorted(
        f"{name}:{tag}" for name, repository in registry.contents.repositories.items() for tag in repository.tags
    )


def test_what_is_missing_is_built_and_pushed_once(project, registry, builder, spec):
    ended = project.run("build", spec)
    assert ended.code == 0
    assert len(tags(registry)) == 2
    lines = ended.out.splitlines()
    assert lines[0].startswith(f"{registry.host}/team/web:")
    assert all("@sha256:" in line for line in lines)
    assert "web     layer 1, pip packages numpy: done in 0.5 s\n" in ended.err
    assert re.search(r"^worker  built and pushed in [0-9.]+ s: ", ended.err, re.MULTILINE)
    again = project.run("build", spec)
    assert (again.code, again.out) == (0, ended.out)
    assert len(builder.requests) == 2
    assert "web     exists: " in again.err


def test_the_document(project, registry, builder, spec):
    ended = project.run("build", spec, "--json", "--metadata-file", "out.json", "--name", "web")
    (image,) = ended.json["images"]
    assert set(image) == {
        "name", "image", "uri", "identifier", "digest", "platforms", "built", "pushed", "bytes_uploaded", "seconds",
    }  # fmt: skip
    assert (image["name"], image["image"], image["built"], image["pushed"]) == ("web", "web", True, True)
    assert image["bytes_uploaded"] > 0
    assert json.loads((project.folder / "out.json").read_text()) == ended.json
    assert [path.name for path in project.folder.iterdir() if "out.json" in path.name] == ["out.json"]
    again = project.run("build", spec, "--json", "--name", "web").json["images"][0]
    assert (again["built"], again["pushed"], again["digest"]) == (False, False, image["digest"])


def test_a_dry_run_runs_nothing(project, registry, builder, spec):
    project.run("build", spec, "--name", "web")
    before, seen = tags(registry), len(registry.requests("POST"))
    ended = project.run("build", spec, "--dry-run")
    assert [line.split()[:2] for line in ended.out.splitlines()] != []
    assert [line[:13] for line in ended.out.splitlines()] == ["exists       ", "would build  "]
    assert ended.err == ""  # it was said
    document = project.run("build", spec, "--dry-run", "--json").json
    assert [image["would_build"] for image in document["images"]] == [False, True]
    assert (tags(registry), len(registry.requests("POST")), len(builder.requests)) == (before, seen, 1)


def test_flags_reach_the_builder(project, registry, builder, spec):
    args = [
        "--force",
        "--no-cache",
        "--platform",
        "linux/amd64",
        "--cache-from",
        "type=local,src=x",
        "--cache-to",
        "type=inline",
    ]
    for _ in range(2):
        assert project.run("build", spec, "--name", "web", *args).code == 0
    assert len(builder.requests) == 2
    request = builder.requests[0]
    assert (request.no_cache, request.cache_from, request.cache_to) == (True, ("type=local,src=x",), ("type=inline",))


def test_a_registry_flag_goes_before_the_specs(project, registry, builder):
    spec = project.spec(SPEC.format(host="ghcr.io"))
    ended = project.run("build", spec, "--registry", f"{registry.host}/mine", "--name", "web")
    assert ended.code == 0
    assert tags(registry)[0].startswith("mine/web:")


def test_a_secret_comes_from_where_the_flag_says(project, registry, builder):
    spec = project.spec("image = Image.from_debian_base('3.11').with_commands(['true'], secret_mounts='TOKEN')")
    project.write("token", "s3cret\n")
    ended = project.run("build", spec, "--registry", registry.host)
    assert ended.code == 2
    assert "secret TOKEN has no value" in ended.err
    assert builder.requests == []
    ended = project.run("build", spec, "--registry", registry.host, "--secret", "TOKEN=file:token")
    assert ended.code == 0
    assert list(builder.requests[0].secrets.values()) == ["s3cret"]
    assert "s3cret" not in ended.out + ended.err


def test_a_failed_step_is_1_with_its_lines(project, registry, builder, spec):
    builder.failure = BuildError("web: layer 1, pip packages numpy: failed\n    last line", hint="try scipy")
    ended = project.run("build", spec, "--name", "web", "--json", "--metadata-file", "out.json")
    assert ended.code == 1
    assert ended.err.endswith("error: web: layer 1, pip packages numpy: failed\n    last line\n  hint: try scipy\n")
    assert ended.json == {
        "error": {"kind": "BuildError", "message": builder.failure.message, "hint": "try scipy", "exit_code": 1}
    }
    assert not (project.folder / "out.json").exists()
    assert tags(registry) == []


def test_an_interrupted_build_is_130(project, registry, builder, spec):
    builder.failure = KeyboardInterrupt()
    ended = project.run("build", spec, "--name", "web")
    assert ended.code == 130
    assert "error: interrupted" in ended.err
    assert tags(registry) == []


def test_a_registry_that_cannot_say_is_3_unless_told_to_build(project, registry, builder, spec):
    registry.fault(Fault(method="GET", path="manifests", status=403, times=None))
    registry.fault(Fault(method="POST", path="uploads", status=403, times=None))
    ended = project.run("build", spec, "--name", "web")
    assert ended.code == 3
    assert "could not find out whether" in ended.err
    assert builder.requests == []


def test_without_a_registry_a_layout_is_written_and_it_says_how_to_push(project, builder):
    spec = project.spec("image = Image.from_debian_base('3.11', name='web')")
    ended = project.run("build", spec)
    assert ended.code == 0
    assert "written to ./images; to push: imagebuild build spec.py --registry ghcr.io/you" in ended.err
    assert json.loads((project.folder / "images/index.json").read_text())["manifests"]
    assert "to push" not in project.run("build", spec, "--progress", "quiet").err


def test_pushing_without_a_registry_is_2(project, builder):
    spec = project.spec("image = Image.from_debian_base('3.11', name='web')")
    ended = project.run("build", spec, "--push")
    assert ended.code == 2
    assert "there is no registry to push to" in ended.err


def test_outputs(project, builder, spec):
    assert project.run("build", spec, "--output", "oci:layout").code == 0
    assert len(json.loads((project.folder / "layout/index.json").read_text())["manifests"]) == 2
    ended = project.run("build", spec, "--output", "docker-archive:image.tar")
    assert (ended.code, "an archive holds one image, and there are 2" in ended.err) == (2, True)
    assert project.run("build", spec, "--output", "docker-archive:image.tar", "--name", "web").code == 0
    assert (project.folder / "image.tar").is_file()
    ended = project.run(
        "build",
        spec,
        "--output",
        "docker-archive:new/folder/image.tar",
        "--name",
        "web",
        "--metadata-file",
        "new/er/out.json",
    )
    assert (ended.code, ended.err.splitlines()[-1]) == (0, "written to ./new/folder/image.tar")
    assert (project.folder / "new/er/out.json").is_file()


def test_an_output_that_cannot_be_written_fails_before_anything_is_built(project, builder, spec):
    project.write("file", "x")
    for output in ("oci:file", "oci:file/below", "docker-archive:file/image.tar", "docker-archive:."):
        ended = project.run("build", spec, "--name", "web", "--output", output)
        assert (ended.code, "cannot be written" in ended.err, "hint: " in ended.err) == (2, True, True)
    assert builder.requests == []
    assert project.run("build", spec, "--name", "web", "--output", "oci:new/layout", "--dry-run").code == 0
    assert not (project.folder / "new").exists()


def test_progress_as_json_is_on_standard_error(project, builder, spec):
    ended = project.run("build", spec, "--progress", "json", "--json", "--name", "web")
    events = [json.loads(line)["event"] for line in ended.err.splitlines()]
    assert events[:3] == ["step", "log", "step"]
    assert events[-1] == "finished"
    assert ended.json["images"]


def test_quiet_prints_the_uris_alone(project, builder, spec):
    ended = project.run("build", spec, "--progress", "quiet")
    assert (len(ended.out.splitlines()), ended.err) == (2, "")


def test_images_that_are_not_pushed_say_where_they_are(project, registry, builder):
    spec = project.spec("image = Image.from_debian_base('3.11', name='web')")
    ended = project.run("build", spec, "--no-push", "--registry", registry.host)
    assert ended.code == 0
    assert ended.out.startswith(f"{registry.host}/web:")
    assert ended.err.endswith("\nwritten to ./images, not pushed\n")
    assert tags(registry) == []
    assert project.run("build", spec, "--output", "oci:layout").err.endswith("\nwritten to ./layout\n")
    assert "written to" not in project.run("build", spec, "--registry", registry.host).err


def test_an_image_without_a_name_beside_named_ones_is_warned_of(project, registry, builder):
    spec = project.spec(
        "base = Image.from_debian_base('3.11')\n"
        "_part = base.with_workdir('/x')\n"
        f"web = base.clone(name='web', registry='{registry.host}')\n"
    )
    ended = project.run("build", spec, "--dry-run")
    assert ended.err == (
        "base  warning: it has no name and becomes image:IDENTIFIER; give it one with name=..., "
        "or, where it is only a part of others, call the variable _base\n"
    )
    assert project.run("build", spec, "--dry-run", "--name", "base").err == ""
    alone = project.spec("base = Image.from_debian_base('3.11')\n", "alone.py")
    assert project.run("build", alone, "--dry-run").err == ""
    documents = project.run("build", spec, "--dry-run", "--json").json["images"]
    assert [(item["name"], item["image"]) for item in documents] == [("base", "image"), ("web", "web")]
