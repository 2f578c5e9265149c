from __future__ import annotations

import os

import pytest

GOOD = """#!/bin/sh
case "$1 $2" in
  "buildx version") echo "github.com/docker/buildx v0.16.2 abc" ;;
  "buildx inspect")
    printf 'Name: default\\nDriver: docker\\n\\nName: default\\nStatus: running\\nPlatforms: linux/amd64\\n' ;;
  "info --format")
    echo '{"ServerVersion": "27.0", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}' ;;
esac
"""


@pytest.fixture
def docker(project, monkeypatch):
    """Puts a `docker` on PATH that answers as a script says."""

    def put(script):
        path = project.write("bin/docker", script)
        os.chmod(path, 0o755)
        monkeypatch.setenv("PATH", f"{project.folder}/bin:/usr/bin:/bin")

    put(GOOD)
    return put


def states(ended):
    return {check["what"]: check["state"] for check in ended.json["checks"]}


def test_all_is_well(project, docker, registry):
    ended = project.run("doctor", "--registry", registry.host, "--json")
    assert ended.code == 0
    assert set(states(ended).values()) == {"ok"}
    assert ended.json["ok"] is True
    assert f"registry {registry.host}" in states(ended)
    text = project.run("doctor").out
    assert "✓ buildx         v0.16.2\n" in text
    assert "writes OCI images for linux/amd64" in text


@pytest.mark.parametrize(
    ("old", "new", "what", "words"),
    [
        ("v0.16.2", "v0.12.1", "buildx", "v0.12.1 is too old"),
        ('echo "github', 'exit 1; echo "github', "buildx", "has no buildx"),
        (
            """echo '{"ServerVersion": "27.0",""",
            """echo '{"ServerErrors": ["Cannot connect to the Docker daemon"],""",
            "engine",
            "no Docker answers: Cannot connect to the Docker daemon",
        ),
    ],
)
def test_what_is_missing_is_a_problem_with_a_hint(project, docker, old, new, what, words):
    docker(GOOD.replace(old, new))
    ended = project.run("doctor", "--json")
    assert ended.code == 3
    (check,) = [check for check in ended.json["checks"] if check["what"] == what]
    assert (check["state"], words in check["found"]) == ("problem", True)
    assert check["hint"]


def test_the_classic_image_store_is_worth_a_word(project, docker):
    docker(GOOD.replace("io.containerd.snapshotter.v1", "overlay2"))
    ended = project.run("doctor")
    assert ended.code == 0
    assert "by way of Docker's image store" in ended.out


def test_a_builder_of_ones_own_needs_no_containerd_store(project, docker):
    docker(
        GOOD.replace("io.containerd.snapshotter.v1", "overlay2").replace("Driver: docker", "Driver: docker-container")
    )
    assert project.run("doctor").code == 0


def test_without_docker(project, monkeypatch):
    monkeypatch.setenv("PATH", str(project.folder))
    ended = project.run("doctor")
    assert ended.code == 3
    assert "✗ docker" in ended.out
    assert "-> install Docker's CLI" in ended.out


def test_files_that_are_wrong(project, docker, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    project.write("config/config.json", "not json")
    monkeypatch.setenv("DOCKER_CONFIG", str(project.folder / "config"))
    project.write("cache", "a file")
    monkeypatch.setenv("IMAGEBUILDER_CACHE_DIR", str(project.folder / "cache"))
    ended = project.run("doctor", "--json")
    assert ended.code == 3
    wrong = [what for what, state in states(ended).items() if state == "problem"]
    assert wrong == ["cache", "certificates", "logins"]


def test_a_registry_that_does_not_answer(project, docker):
    ended = project.run("doctor", "--registry", "localhost:1", "--json")
    assert ended.code == 3
    assert states(ended)["registry localhost:1"] == "problem"


def test_one_line_says_that_no_engine_answers(project, docker):
    """What docker and buildx say where no engine is; the driver is one space."""
    docker(
        """#!/bin/sh
case "$1 $2" in
  "buildx version") echo "github.com/docker/buildx v0.16.2 abc" ;;
  "buildx inspect") printf 'Name:          default\\nDriver:        \\nError:         Cannot connect to it\\n' ;;
  "info --format") echo '{"ServerErrors": ["Cannot connect to it"]}'; exit 1 ;;
esac
"""
    )
    ended = project.run("doctor")
    assert ended.code == 3
    assert ended.out.count("Cannot connect") == 1
    assert "✗ engine         no Docker answers: Cannot connect to it\n" in ended.out
    assert "-> systemctl start docker, or export DOCKER_HOST=" in ended.out


def test_a_host_that_only_has_mirrors_is_asked_through_them(project, docker, registry, monkeypatch):
    monkeypatch.setenv("IMAGEBUILDER_MIRRORS", f"docker.io={registry.host}/hub docker.io=localhost:1")
    ended = project.run("doctor", "--json")
    assert ended.code == 0
    found = states(ended)
    assert (found[f"mirror {registry.host}/hub"], found["mirror localhost:1"]) == ("ok", "warning")
    assert not [what for what in found if what.startswith("registry ")]
    assert f"mirror {registry.host}/hub" in project.run("doctor").out


def test_what_the_configuration_names_is_asked(project, docker, registry):
    project.write(
        "imagebuilder.toml",
        f"""
        registry = "{registry.host}/team"
        [registries."localhost:1"]
        plain_http = true
        mirrors = ["{registry.host}"]
        """,
    )
    ended = project.run("doctor", "--json")
    assert ended.code == 3
    found = states(ended)
    assert (found[f"registry {registry.host}/team"], found["registry localhost:1"]) == ("ok", "problem")
