"""Docker with its classic image store, whose BuildKit writes no OCI layouts: the default before Docker 29."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagebuilder import Image
from imagebuilder.errors import BuildError, BuilderUnavailableError
from imagebuilder.outputs.docker import Docker
from imagebuilder.outputs.output import Load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Forge

ENGINE = Path(__file__).parents[2] / "scripts" / "engine"
START_SECONDS = 60
# Linux: linux/sockios.h and linux/if.h
SIOCBRADDBR, SIOCBRDELBR, SIOCSIFFLAGS = 0x89A0, 0x89A1, 0x8914


@contextmanager
def bridge() -> Iterator[str]:
    """A network of its own: an engine without one removes the network of its neighbour."""
    name = f"ib{os.getpid()}"
    with socket.socket() as handle:
        fcntl.ioctl(handle, SIOCBRADDBR, name.encode() + b"\0")
        try:
            yield name
        finally:
            fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh14x", name.encode(), 0))
            fcntl.ioctl(handle, SIOCBRDELBR, name.encode() + b"\0")


@pytest.fixture(scope="module")
def classic(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    if os.geteuid() != 0:
        pytest.skip("a second Docker engine needs root")
    folder = tmp_path_factory.mktemp("classic")
    url = f"unix://{folder}/docker.sock"
    with bridge() as network, (folder / "log").open("w") as log:
        settings = {
            "features": {"containerd-snapshotter": False},
            "registry-mirrors": ["http://127.0.0.1:5000"],
            "data-root": f"{folder}/data",
            "exec-root": f"{folder}/exec",
            "pidfile": f"{folder}/pid",
            "hosts": [url],
            "bridge": network,
            "iptables": False,
            "ip6tables": False,
        }
        (folder / "daemon.json").write_text(json.dumps(settings))
        command = [str(ENGINE), "run", "dockerd", "--config-file", f"{folder}/daemon.json"]
        daemon = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            environ = {**forge.environ, "DOCKER_HOST": url, "IMAGEBUILDER_CACHE_DIR": f"{folder}/cache"}
            until = time.monotonic() + START_SECONDS
            while not Docker(environ).answers():
                assert daemon.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.1)
            yield replace(forge, folder=folder, environ=environ, flags={"builder": "buildkit"}, events=[])
        finally:
            daemon.terminate()
            daemon.wait(30)


def spec(forge: Forge, what: str) -> Image:
    image = Image.from_debian_base("3.11", name=forge.name(what), registry=forge.registry)
    return image.with_commands(["echo one > /one", "date > /two"])


def test_it_is_built_pushed_and_runs_anywhere(classic: Forge, forge: Forge) -> None:
    image = spec(classic, "classic")
    built = classic.build_one(image, no_cache=True)
    assert forge.sh(built.uri, "cat /one; id -un") == "one\napp\n"
    again = classic.build_one(image, no_cache=True, force=True)
    assert again.platforms == built.platforms
    assert all(layer["mediaType"].endswith("gzip") for layer in forge.manifest(built.uri)["layers"])
    assert classic.docker("image", "ls", "--all", "--quiet") == "", "nothing stays in the engine"


def test_two_cold_builds_have_one_digest(classic: Forge, tmp_path: Path) -> None:
    image = Image.from_debian_base("3.11", name=classic.name("same"), registry=classic.registry).with_commands(
        ["mkdir -p /data && echo one > /data/one"]
    )
    first = classic.build_one(image, no_cache=True)
    elsewhere = replace(classic, environ={**classic.environ, "IMAGEBUILDER_CACHE_DIR": str(tmp_path)}, events=[])
    assert elsewhere.build_one(image, no_cache=True, force=True).digest == first.digest


def test_it_is_loaded_where_it_was_asked_to_be(classic: Forge) -> None:
    image = spec(classic, "loaded")
    result = classic.build_one(image, output=Load(Docker(classic.environ)))
    assert classic.docker("image", "inspect", "--format", "{{.Os}}", result.uri) == "linux\n"
    classic.docker("image", "rm", result.uri)


def test_a_failing_step_is_told_as_everywhere(classic: Forge) -> None:
    with pytest.raises(BuildError, match="layer 2, commands false: the command failed with exit code 1"):
        classic.build_one(spec(classic, "fails").with_commands(["false"]))
    assert classic.docker("image", "ls", "--all", "--quiet") == ""


def test_several_platforms_need_the_other_store(classic: Forge) -> None:
    image = spec(classic, "two").clone(platform=["linux/amd64", "linux/arm64"])
    with pytest.raises(BuilderUnavailableError) as caught:
        classic.build_one(image)
    assert "containerd image store" in (caught.value.hint or "")
