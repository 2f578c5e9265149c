"""The task SDK as a layer of images."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Forge, Tree

TOP = Path(__file__).parents[2]
LARGEST = 4_000_000  # bytes, compressed
LOOK = """
import importlib.metadata, json, sys
import flyteidl2, google.protobuf, imagebuilder, tasksdk
from flyteidl2.core import literals_pb2
from google.protobuf.internal import api_implementation
from imagebuilder import Image
print(json.dumps({
    "sdk": tasksdk.__version__,
    "metadata": importlib.metadata.version("tasksdk"),
    "protobuf": api_implementation.Type(),
    "literal": literals_pb2.Literal(hash="x").hash,
    "image": repr(Image.from_debian_base("3.11")),
}))
"""


@pytest.fixture(params=["direct", "buildkit"])
def builder(request: Any, forge: Forge) -> Any:
    forge.flags["builder"] = request.param
    yield request.param
    forge.flags.clear()


def layers(forge: Forge, uri: str) -> dict[str, int]:
    return {layer["digest"]: layer["size"] for layer in forge.manifest(uri)["layers"]}


def debian(forge: Forge, what: str, **more: Any) -> Image:
    return Image.from_debian_base("3.11", name=forge.name(what), registry=forge.registry, **more)


def test_an_image_has_it_and_runs_it(forge: Forge, builder: str, tree: Tree) -> None:
    code = tree.file("look.py", LOOK)
    image = debian(forge, f"sdk-{builder}").with_source_file(code, "/app/look.py")
    uri = forge.build_one(image).uri
    told = json.loads(forge.run(uri, "python", "/app/look.py"))
    assert told == {
        "sdk": "0.1.0",
        "metadata": "0.1.0",
        "protobuf": "upb",
        "literal": "x",
        "image": "Image.from_debian_base((3, 11), install_sdk='0.1.0')",
    }
    assert "--output-prefix" in forge.sh(uri, "tasksdk-execute --help")
    assert "--output-prefix" in forge.sh(uri, "pyflyte-execute --help")
    assert forge.sh(uri, "find /opt/venv -name '*.py' -newermt 1981-01-01") == ""


def test_it_is_one_small_layer_that_images_share(forge: Forge, builder: str, tree: Tree) -> None:
    one = forge.build_one(debian(forge, f"one-{builder}"))
    code = tree.file("main.py", "print(1)")
    other = debian(forge, f"two-{builder}").with_pip_packages("humanize").with_env_vars({"A": "1"})
    two = forge.build_one(other.with_source_file(code, "/app/main.py"))
    without = forge.build_one(debian(forge, f"without-{builder}", install_sdk=False).with_pip_packages("humanize"))
    shared = layers(forge, one.uri).keys() & layers(forge, two.uri).keys() - layers(forge, without.uri).keys()
    [digest] = shared
    assert layers(forge, one.uri)[digest] <= LARGEST
    names = list(layers(forge, two.uri))
    assert names.index(digest) == len(names) - 2, "last before the user's own code"


def test_one_layer_serves_every_platform(forge: Forge) -> None:
    forge.flags["builder"] = "direct"
    try:
        one, other = (
            forge.build_one(debian(forge, f"for-{name}", platform=f"linux/{name}")) for name in ("amd64", "arm64")
        )
    finally:
        forge.flags.clear()
    assert layers(forge, one.uri).keys() & layers(forge, other.uri).keys()


def test_an_image_whose_steps_run_has_the_same_layer(forge: Forge) -> None:
    plain = forge.build_one(debian(forge, "plain"))
    ran = forge.build_one(debian(forge, "ran").with_commands(["touch /made"]).with_env_vars({"A": "1"}))
    below = forge.build_one(debian(forge, "ran", install_sdk=False).with_commands(["touch /made"]))
    [own] = layers(forge, plain.uri).keys() & layers(forge, ran.uri).keys() - layers(forge, below.uri).keys()
    assert list(layers(forge, ran.uri)) == [*layers(forge, below.uri), own], "steps do not run again for an SDK"


def test_without_it_here_it_is_that_of_the_index(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = forge.build_one(debian(forge, "from-here"))
    for project in (TOP, TOP / "sdk"):
        subprocess.run(["uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(project)], check=True)
    for wheel in list(tmp_path.glob("*.whl")):
        folder = tmp_path / "simple" / wheel.name.partition("-")[0]
        folder.mkdir(parents=True)
        wheel.rename(folder / wheel.name)
    monkeypatch.setattr("imagebuilder.builders.sdk.installed", lambda _: None)
    with serving(tmp_path) as address:
        (tmp_path / "imagebuilder.toml").write_text(f'[site]\nextra_index_urls = ["{address}/simple"]\n')
        made = type(forge)(forge.registry, forge.run_id, tmp_path, forge.environ)
        there = made.build_one(debian(forge, "from-the-index"))
    assert layers(forge, here.uri) == layers(forge, there.uri)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A web server for a folder; a listing of files is what a package index says."""
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_the_users_own_packages_go_first(forge: Forge, tree: Tree, wheel: Any) -> None:
    own = tree.root / "flyteidl2-99-py3-none-any.whl"
    wheel(own, "flyteidl2", "99", "mine = True\n")
    image = debian(forge, "own").with_wheels(own)
    assert forge.run(forge.build_one(image).uri, "python", "-c", "import flyteidl2; print(flyteidl2.mine)") == "True\n"


def test_over_a_base_of_ones_own(forge: Forge, builder: str) -> None:
    base = Image.from_base("python:3.11-slim-bookworm").clone(name=forge.name("base"), registry=forge.registry)
    uri = forge.build_one(base.with_sdk(python_version="3.11")).uri
    assert forge.run(uri, "python", "-c", "import tasksdk; print(tasksdk.__version__)") == "0.1.0\n"
    with pytest.raises(BuildError, match=r"the base has Python 3\.11, not 3\.12"):
        forge.build_one(base.with_sdk(python_version="3.12"))
