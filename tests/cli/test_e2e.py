"""The command line with a real BuildKit and a real registry."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from imagebuilder.registry import Client
from imagebuilder.spec.reference import Reference

pytestmark = pytest.mark.e2e
IMAGEBUILD = [sys.executable, "-c", "import sys; from imagebuilder.cli.entry import main; sys.exit(main())"]


@pytest.fixture
def host():
    found = os.environ.get("IMAGEBUILDER_TEST_REGISTRY")
    if not found:
        pytest.fail("IMAGEBUILDER_TEST_REGISTRY is not set: run `scripts/engine up`")
    return found


@pytest.fixture
def name():
    return f"cli-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def spec(tmp_path, monkeypatch, host, name):
    """Writes a spec whose image runs a command on a base that needs nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEBUILDER_CACHE_DIR", str(tmp_path / "cache"))

    def write(*commands):
        text = (
            "from imagebuilder import Image\n"
            f"base = '{host}/library/python:3.11-slim-bookworm'\n"
            f"image = Image.from_base(base, name='{name}', registry='{host}/e2e')\n"
            f"image = image.with_commands({list(commands)!r})\n"
        )
        Path("spec.py").write_text(text)
        return "spec.py"

    return write


def imagebuild(*args):
    return subprocess.run([*IMAGEBUILD, *args], capture_output=True, text=True, check=False)


def test_an_image_is_built_pushed_and_found_again(spec, host, name):
    file = spec(f"echo {name} > /told")
    done = imagebuild("build", file, "--json", "--metadata-file", "out.json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert json.loads(Path("out.json").read_text()) == document
    (image,) = document["images"]
    assert (image["built"], image["pushed"]) == (True, True)
    with Client() as client:
        assert client.resolve(Reference.parse(image["uri"])).digest == image["digest"]
    assert imagebuild("build", file).stdout == f"{image['uri']}@{image['digest']}\n"
    assert imagebuild("check", file).returncode == 0
    assert imagebuild("explain", image["uri"], file).stdout == "the same image\n"


def test_a_failed_step_shows_the_layer_the_command_and_its_lines(spec, host, name):
    done = imagebuild("build", spec("echo fine", "echo the last words >&2; exit 7"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "layer 1, commands echo fine (and 1 more)" in done.stderr
    assert "exit code 7" in done.stderr
    assert "    the last words\n" in done.stderr[done.stderr.index("error: ") :]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_running_and_pushes_nothing(spec, host, name, tmp_path, sign):
    file = spec("echo begun; sleep 300")
    with subprocess.Popen(
        [*IMAGEBUILD, "build", file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if line.rstrip().endswith("| begun"):
                break
        assert running(tmp_path)
        process.send_signal(sign)
        out, rest = process.communicate(timeout=120)
    assert process.returncode == 130, [*said, rest]
    assert out == ""
    assert "error: interrupted" in rest
    assert not running(tmp_path)
    with Client() as client, pytest.raises(Exception, match="does not exist"):
        client.tags(Reference.parse(f"{host}/e2e/{name}"))


def running(folder):
    """The processes whose command line names a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"buildx" in words and str(folder).encode() in words:
            found.append(words)
    return found
