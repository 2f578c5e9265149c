from __future__ import annotations

import pytest

from imagebuilder.cli import warm as warm_command
from imagebuilder.errors import BuildError
from imagebuilder.registry import Fault, MemoryRegistry

SPEC = """
web = Image.from_debian_base("3.11", name="web")
job = Image.from_debian_base("3.11", name="job").with_env_vars({"A": "1"})
"""


@pytest.fixture
def second():
    with MemoryRegistry() as running:
        yield running


def states(ended):
    return [(row["name"], row["registry"], row["state"]) for row in ended.json["images"]]


def test_what_is_nowhere_is_built_once_and_copied(project, builder, registry, second):
    spec = project.spec(SPEC)
    places = ["--registry", f"{registry.host}/a", "--registry", f"{second.host}/b"]
    ended = project.run("warm", spec, *places, "--json")
    assert ended.code == 0, ended.err
    a, b = f"{registry.host}/a", f"{second.host}/b"
    assert states(ended) == [("web", a, "built"), ("web", b, "copied"), ("job", a, "built"), ("job", b, "copied")]
    assert len(builder.requests) == 2
    assert len({row["digest"] for row in ended.json["images"][:2]}) == 1
    assert ended.json["bytes_moved"] == sum(row["bytes_moved"] for row in ended.json["images"]) > 0
    layers = [seen.path for seen in second.requests("PUT", "/blobs/")]
    assert len({path.partition("digest=")[2] for path in layers}) == len(layers)  # the shared layer went there once
    again = project.run("warm", spec, *places, "--json")
    assert (again.code, again.json["bytes_moved"], len(builder.requests)) == (0, 0, 2)
    assert {row["state"] for row in again.json["images"]} == {"present"}
    assert project.run("check", spec, "--registry", f"{second.host}/b").code == 0


def test_what_is_somewhere_is_not_built(project, builder, registry, second):
    spec = project.spec(SPEC)
    assert project.run("build", spec, "--registry", second.host).code == 0
    built = len(builder.requests)
    ended = project.run("warm", spec, "--registry", registry.host, "--registry", second.host)
    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.splitlines()] == ["copied", "present", "copied", "present"]
    assert "2 present, 2 copied" in ended.err
    assert len(builder.requests) == built


def test_blobs_of_what_is_there_are_mounted(project, builder, registry, second):
    spec = project.spec(SPEC)
    project.run("build", spec, "--registry", registry.host)
    project.run("build", spec, "--registry", second.host, "--name", "web")
    ended = project.run("warm", spec, "--registry", registry.host, "--registry", second.host, "--json")
    (row,) = [row for row in ended.json["images"] if row["state"] == "copied"]
    assert (row["name"], row["mounted"]) == ("job", 1)


def test_a_deploy_file(project, builder, registry, second):
    project.spec("web = Image.from_debian_base('3.11', name='web')", "specs/web.py")
    project.spec(SPEC, "specs/all.py")
    project.write(
        "deploy.toml",
        f"""
        registries = ["{registry.host}/x", "{second.host}/x/"]
        specs = ["specs/web.py", {{spec = "specs/all.py", names = ["job"], registries = ["{second.host}/y"]}}]
        """,
    )
    ended = project.run("warm", "deploy.toml", "--json")
    assert ended.code == 0, ended.err
    assert states(ended) == [
        ("web", f"{registry.host}/x", "built"),
        ("web", f"{second.host}/x", "copied"),
        ("job", f"{second.host}/y", "built"),
    ]
    ended = project.run("warm", "deploy.toml", "--registry", f"{registry.host}/z", "--platform", "arm64", "--json")
    assert [row["registry"] for row in ended.json["images"]] == [f"{registry.host}/z"] * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("specs = [", "is not valid TOML"),
        ("registries = ['a.b']", "lists no specs"),
        ("specs = []", "lists no specs"),
        ("specs = ['a.py']\nimages = []", "'images' is not a setting"),
        ("specs = [{spec = 'a.py', tag = '1'}]", "'tag' is not a setting"),
        ("specs = [{names = ['a']}]", "spec 1 is"),
        ("specs = [1]", "spec 1 is 1"),
        ("specs = ['a.py']\nplatforms = 'arm64'", "not a list of strings"),
        ("specs = ['a.py']\nregistries = ['https://a.b']", "is no registry"),
        ("specs = ['a.py']\nregistries = ['a.b/c:1']", "is no registry"),
        ("specs = ['none.py']\nregistries = ['a.b']", "does not exist"),
    ],
)
def test_a_deploy_file_that_means_nothing(project, text, words):
    project.write("deploy.toml", text)
    ended = project.run("warm", "deploy.toml")
    assert (ended.code, words in ended.err) == (2, True), ended.err


def test_no_registry_and_no_such_registry(project):
    spec = project.spec(SPEC)
    ended = project.run("warm", spec)
    assert (ended.code, "no registry to warm" in ended.err) == (2, True)
    assert project.run("warm", spec, "--registry", "https://a.b").code == 2
    assert project.run("warm", "none.toml").code == 2


def test_a_registry_that_refuses_is_missing_in_the_end(project, builder, registry, second):
    spec = project.spec("web = Image.from_debian_base('3.11', name='web')")
    second.fault(Fault("POST", times=None, status=403))
    ended = project.run("warm", spec, "--registry", registry.host, "--registry", second.host, "--json")
    assert ended.code == 1
    assert [row["state"] for row in ended.json["images"]] == ["built", "missing"]
    assert "refused" in ended.json["images"][1]["reason"]
    assert project.run("warm", spec, "--registry", registry.host, "--registry", second.host).out.startswith("present")


@pytest.mark.parametrize("options", [[], ["--on-unknown", "build"]])
@pytest.mark.parametrize("order", ["first", "last"])
def test_a_registry_that_cannot_say_does_not_stop_the_others(project, builder, registry, second, order, options):
    spec = project.spec(SPEC)
    second.fault(Fault(times=None, status=403))
    places = [second, registry] if order == "first" else [registry, second]
    flags = [word for place in places for word in ("--registry", place.host)]
    ended = project.run("warm", spec, *flags, *options, "--json")
    assert ended.code == 3, ended.err
    rows = {(row["name"], row["registry"]): row for row in ended.json["images"]}
    for name in ("web", "job"):
        assert rows[name, registry.host]["state"] == "built"
        assert rows[name, second.host]["state"] == "unknown"
        assert rows[name, second.host]["reason"]
    assert {request.name for request in builder.requests} == {"web", "job"}
    assert project.run("check", spec, "--registry", registry.host).code == 0


def test_a_first_registry_that_takes_nothing_does_not_stop_the_others(project, builder, registry, second):
    spec = project.spec(SPEC)
    registry.fault(Fault("POST", times=None, status=403))
    ended = project.run("warm", spec, "--registry", registry.host, "--registry", second.host, "--json")
    assert ended.code == 1, ended.err
    assert [row["state"] for row in ended.json["images"]] == ["missing", "built"] * 2
    assert registry.host in ended.json["images"][0]["reason"]
    assert project.run("check", spec, "--registry", second.host).code == 0


def test_an_image_that_cannot_be_built_does_not_stop_the_others(project, builder, registry, second):
    spec = project.spec(SPEC)
    builder.failing = {"job": BuildError("job: no", hint="mend it")}
    ended = project.run("warm", spec, "--registry", registry.host, "--registry", second.host, "--json")
    assert ended.code == 1, ended.err
    assert [row["state"] for row in ended.json["images"]] == ["built", "copied", "missing", "missing"]
    assert {row["reason"] for row in ended.json["images"][2:]} == {"job: no"}


def test_a_registry_that_denies_what_is_not_there_is_pushed_to(project, builder, registry, second):
    spec = project.spec("web = Image.from_debian_base('3.11', name='web')")
    second.fault(Fault("GET", "/manifests/", times=1, status=403))
    ended = project.run("warm", spec, "--registry", registry.host, "--registry", second.host, "--json")
    assert ended.code == 0
    assert [row["state"] for row in ended.json["images"]] == ["built", "copied"]


def test_a_build_that_fails_does_not_stop_copies(project, builder, registry, second):
    spec = project.spec(SPEC)
    project.run("build", spec, "--registry", registry.host, "--name", "web")
    builder.failure = BuildError("job: no", hint="mend it")
    ended = project.run("warm", spec, "--registry", registry.host, "--registry", second.host, "--json")
    assert ended.code == 1
    assert [row["state"] for row in ended.json["images"]] == ["present", "copied", "missing", "missing"]
    assert {row["reason"] for row in ended.json["images"][2:]} == {"job: no"}


def test_an_image_that_is_only_a_base_is_copied_as_a_mirror_holds_it(project, builder, registry, second, push_image):
    digest = push_image(f"{registry.host}/library/base:1")
    spec = project.spec(f"base = Image.from_base('{registry.host}/library/base:1')")
    ended = project.run("warm", spec, "--registry", f"{second.host}/cache", "--json")
    assert ended.code == 0, ended.err
    (row,) = ended.json["images"]
    assert (row["uri"], row["state"], row["digest"]) == (f"{second.host}/cache/library/base:1", "copied", digest)
    assert builder.requests == []


def test_different_builds_are_told_of(project, registry, second, builder, push_image):
    spec = project.spec("web = Image.from_debian_base('3.11', name='web')")
    for number, host in enumerate((registry.host, second.host)):
        push_image(project.run("identify", spec, "--registry", host).out.split()[1], {"n": str(number)})
    ended = project.run("warm", spec, "--registry", registry.host, "--registry", second.host)
    assert ended.code == 0
    assert "2 different builds" in ended.err


def test_a_table_at_a_terminal(project, builder, registry, second, monkeypatch):
    spec = project.spec(SPEC)
    monkeypatch.setattr(warm_command, "_is_terminal", lambda: True)
    ended = project.run("warm", spec, "--registry", registry.host, "--registry", second.host)
    head, *rows = ended.out.splitlines()
    assert head.split() == ["image", "registry", "state", "digest", "moved"]
    assert [row.split()[:3] for row in rows[:2]] == [["web", registry.host, "built"], ["web", second.host, "copied"]]
