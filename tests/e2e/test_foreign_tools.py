"""Images that were assembled directly, in the hands of Docker, containerd, podman and skopeo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.outputs.output import Archive, Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Forge

# What a container finds: who and where it is, what was installed, and each file with its mode, owner and target.
PROGRAM = """\
import hashlib, importlib.metadata, json, os, zope.interface
rows = []
for top in ("/opt/venv", "/app", "/etc/ours.conf"):
    for folder, folders, files in os.walk(top):
        for name in (".", *folders, *files):
            path = os.path.join(folder, name)
            found = os.lstat(path)
            target = os.readlink(path) if os.path.islink(path) else ""
            content = ""
            if os.path.isfile(path) and not target:
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            time = 0 if os.path.isdir(path) else int(found.st_mtime)  # folders get it when something is put in them
            rows.append([path, oct(found.st_mode), found.st_uid, found.st_gid, time, target, content])
print(json.dumps({
    "ids": [os.getuid(), os.getgid()], "folder": os.getcwd(), "mode": os.environ["MODE"], "path": os.environ["PATH"],
    "version": importlib.metadata.version("zope.interface"), "tree": sorted(rows),
}))
"""
FOUND = {
    "ids": [1000, 1000],
    "folder": "/app/code",
    "mode": "two words",
    "path": "/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    "version": "7.2",
}


def tool(name: str, *args: str) -> str:
    """The output of a tool; `scripts/engine up` provides them, else those of this machine are taken."""
    folder = os.environ.get("IMAGEBUILDER_TEST_TOOLS", "")
    found = shutil.which(name, path=f"{folder}:{os.environ['PATH']}")
    if found is None:
        pytest.fail(f"{name} is not here: run `scripts/engine up`, or install it beside your Docker")
    done = subprocess.run([found, *args], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{name} {' '.join(args)}: {done.stdout}{done.stderr}"
    return done.stdout


def is_same(text: str, expected: dict[str, Any]) -> None:
    """Compare what two containers found; of the files name those that differ."""
    found = json.loads(text)
    here, there = ({tuple(row) for row in one.pop("tree")} for one in (found, dict(expected)))
    assert found == {key: value for key, value in expected.items() if key != "tree"}
    assert (sorted(here - there), sorted(there - here)) == ([], [])


@pytest.fixture(scope="module")
def image(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The reference of an image for two platforms, and its digest."""
    code = tmp_path_factory.mktemp("code")
    (code / "main.py").write_text(PROGRAM)
    (code / "run").write_text("#!/bin/sh\nexec python /app/code/main.py\n")
    (code / "run").chmod(0o755)
    (code / "träger").symlink_to("main.py")
    (code / "empty").mkdir()
    (code / "ours.conf").write_text("x\n")
    made = (
        Image.from_debian_base(
            "3.11", name=forge.name("foreign"), registry=forge.registry, platform=["linux/amd64", "linux/arm64"]
        )
        .with_pip_packages("zope.interface==7.2", "black==24.10.0")
        .with_source_folder(code, "/app/code")
        .with_source_file(code / "ours.conf", "/etc/ours.conf")
        .with_env_vars({"MODE": "two words"})
        .with_workdir("/app/code")
        .with_entrypoint("./run")
    )
    result = replace(forge, flags={"builder": "direct"}, events=[]).build_one(made)
    assert result.digest is not None
    return result.uri, result.digest


@pytest.fixture(scope="module")
def by_docker(forge: Forge, image: tuple[str, str]) -> dict[str, Any]:
    """What a container of Docker's found."""
    forge.docker("pull", "--quiet", image[0])
    found: dict[str, Any] = json.loads(forge.run(image[0]))
    return found


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace of containerd's for one test, taken away in the end."""
    name = f"imagebuilder-{uuid.uuid4().hex[:8]}"
    yield name
    for image in tool("ctr", "-n", name, "images", "ls", "-q").split():
        tool("ctr", "-n", name, "images", "rm", "--sync", image)
    tool("ctr", "namespaces", "rm", name)


def test_docker_pulls_and_runs_it(forge: Forge, image: tuple[str, str], by_docker: dict[str, Any]) -> None:
    assert FOUND.items() <= by_docker.items()
    pulled = json.loads(forge.docker("image", "inspect", image[0]))[0]["RepoDigests"]
    assert f"{image[0].rpartition(':')[0]}@{image[1]}" in pulled


def test_containerd_pulls_and_runs_it(image: tuple[str, str], by_docker: dict[str, Any], namespace: str) -> None:
    tool("ctr", "-n", namespace, "images", "pull", "--plain-http", image[0])
    (row,) = (row.split() for row in tool("ctr", "-n", namespace, "images", "ls").splitlines() if image[0] in row)
    assert image[1] in row
    is_same(tool("ctr", "-n", namespace, "run", "--rm", image[0], "run"), by_docker)


def test_podman_pulls_and_runs_it(image: tuple[str, str], by_docker: dict[str, Any]) -> None:
    trusted = ("--signature-policy", str(Path(__file__).with_name("policy.json")))
    tool("podman", "pull", "--quiet", "--tls-verify=false", *trusted, image[0])
    try:
        (digests,) = json.loads(tool("podman", "image", "inspect", "--format", "[{{json .RepoDigests}}]", image[0]))
        assert f"{image[0].rpartition(':')[0]}@{image[1]}" in digests
        is_same(tool("podman", "run", "--rm", image[0]), by_docker)
    finally:
        tool("podman", "rmi", "--force", image[0])


def test_skopeo_reads_and_copies_it(
    forge: Forge, image: tuple[str, str], by_docker: dict[str, Any], tmp_path: Path
) -> None:
    uri, digest = image
    assert json.loads(tool("skopeo", "inspect", "--tls-verify=false", f"docker://{uri}"))["Digest"] == digest
    other = f"{forge.registry}/{forge.name('by-skopeo')}:1"
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    tool("skopeo", "copy", "--quiet", "--all", "--preserve-digests", *plain, f"docker://{uri}", f"docker://{other}")
    copied = tool("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{other}")
    assert copied.strip() == digest
    layout = tmp_path / "layout"
    tool("skopeo", "copy", "--quiet", "--all", "--src-tls-verify=false", f"docker://{uri}", f"oci:{layout}:it")
    assert json.loads((layout / "index.json").read_text())["manifests"][0]["digest"] == digest
    archive, name = tmp_path / "image.tar", f"{forge.name('by-skopeo')}:archive"
    tool("skopeo", "copy", "--quiet", f"oci:{layout}:it", f"docker-archive:{archive}:{name}")
    forge.docker("load", "--quiet", "--input", str(archive))
    is_same(forge.run(name), by_docker)


@pytest.mark.parametrize("kind", ["archive", "layout"])
def test_what_is_written_to_this_disk(forge: Forge, tmp_path: Path, namespace: str, kind: str) -> None:
    """An archive, or a layout as one tar: every tool takes the same image out of it, and runs it."""
    name = forge.name(f"written-{kind}")
    made = Image.from_debian_base("3.11", name=name, install_sdk=False).with_pip_packages("zope.interface==7.2")
    image = made.with_entrypoint("python", "-c", "import zope.interface; print('ran')")
    tar, layout = tmp_path / "image.tar", tmp_path / "layout"
    output = Archive(tar) if kind == "archive" else Layout(layout)
    result = replace(forge, flags={"builder": "direct"}, events=[]).build(image, output=output)[0]
    where = f"docker-archive:{tar}" if kind == "archive" else f"oci:{layout}"
    if kind == "layout":
        tool("tar", "--directory", str(layout), "--create", "--file", str(tar), ".")
        assert tool("skopeo", "inspect", "--format", "{{.Digest}}", where).strip() == result.digest
    config = json.loads(tool("skopeo", "inspect", "--config", where))
    assert config["config"]["Labels"]["io.imagebuilder.identifier"] == result.identifier
    tool("ctr", "-n", namespace, "images", "import", "--all-platforms", str(tar))
    (row,) = (row.split() for row in tool("ctr", "-n", namespace, "images", "ls").splitlines() if name in row)
    assert result.digest in row
    assert tool("ctr", "-n", namespace, "run", "--rm", row[0], "run") == "ran\n"
    # podman has no name for what it pulls from a folder but its id.
    trusted = ("--signature-policy", str(Path(__file__).with_name("policy.json")))
    pulled = tool("podman", "pull", "--quiet", *trusted, where).split()[-1]
    try:
        assert tool("podman", "run", "--rm", pulled) == "ran\n"
    finally:
        tool("podman", "rmi", "--force", pulled)
    if kind == "archive":
        forge.docker("image", "load", "--input", str(tar))
        assert forge.run(result.uri) == "ran\n"
