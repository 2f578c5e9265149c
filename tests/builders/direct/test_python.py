"""Environments: what is chosen, what is installed, and what is refused."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct import fetched, interpreters
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.builders.site import Site
from imagebuilder.cache.kinds import IMAGES
from imagebuilder.errors import BuildError
from imagebuilder.layers import pipeline
from imagebuilder.outputs.output import Push
from imagebuilder.spec.reference import Reference

from .bases import DEBIAN, DPKG, ELF

if TYPE_CHECKING:
    from pathlib import Path

SITE = "opt/venv/lib/python3.11/site-packages"
ENV = ["PATH=/usr/bin:/bin"]
ALPINE = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/ash\n",
    "etc/group": "root:x:0:root\n",
    "usr/bin/python3.11": ELF,
    "usr/bin/python3": "-> python3.11",
    "lib/apk/db/installed": "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:other\nV:3.1\n",
}


def warnings(bench: Any) -> list[str]:
    return [event.message for event in bench.events if isinstance(event, Warning)]


def test_wheels_on_a_base(bench: Any, make_wheel: Any) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo"))
    made = bench.build(image)
    assert made.content[f"{SITE}/demo/__init__.py"] == b"version = '1.0'\n"
    assert made.content["opt/venv/bin/demo-script"] == b"#!/opt/venv/bin/python\nprint('script')\n"
    assert {"opt/venv/bin/demo", "opt/venv/share/demo.txt", f"{SITE}/demo-1.0.dist-info/RECORD"} <= made.tree.keys()
    assert any(path.startswith(f"{SITE}/demo/__pycache__/") for path in made.tree)
    assert b"include-system-site-packages = true" in made.content["opt/venv/pyvenv.cfg"]
    noted = made.content[f"{SITE}/demo-1.0.dist-info/direct_url.json"]
    assert noted == b'{"url":"file:///run/imagebuilder/files/demo-1.0-py3-none-any.whl","archive_info":{}}'
    assert warnings(bench) == []


def test_without_an_interpreter_there_is_no_bytecode(
    bench: Any, make_wheel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "interpreter_for", lambda *_: None)
    made = bench.build(Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo")))
    assert not [path for path in made.tree if path.endswith(".pyc")]
    (message,) = warnings(bench)
    assert "no Python 3.11 is on this machine" in message
    assert "about a second" in message


def test_shims_are_no_interpreters(
    bench: Any, make_wheel: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A version manager leaves commands on the PATH that only say that their version is not chosen."""
    shim = tmp_path / "shims" / "python3.11"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\necho not chosen >&2\nexit 127\n")
    shim.chmod(0o755)
    real = sys.executable
    monkeypatch.setattr(interpreters.sys, "version_info", (3, 99, 0))
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo"))
    assert not [path for path in bench.build(image).tree if path.endswith(".pyc")]
    (message,) = warnings(bench)
    assert "no Python 3.11 is on this machine" in message
    kept = tmp_path / "nobody" / ".pyenv" / "versions" / "3.11.7" / "bin" / "python3.11"
    kept.parent.mkdir(parents=True)
    kept.symlink_to(real)
    assert [path for path in bench.build(image).tree if path.endswith(".pyc")]


def test_the_bases_own_version_compiles_where_it_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shim is not asked for it: it takes longer to answer than all interpreters together."""
    minor = sys.version_info[0], sys.version_info[1]
    name = f"{minor[0]}.{minor[1]}"
    own = f"{name}.99"
    kept = tmp_path / ".pyenv" / "versions" / own / "bin" / f"python{name}"
    shim = tmp_path / "shims" / f"python{name}"
    for path, start in ((kept, b"\x7fELF"), (shim, b"#!/bin/sh")):
        path.parent.mkdir(parents=True)
        path.write_bytes(start)
        path.chmod(0o755)
    asked: list[str] = []

    def version_of(path: str | Path) -> str:
        asked.append(str(path))
        return own

    monkeypatch.setattr(interpreters, "version_of", version_of)
    environ = {"HOME": str(tmp_path), "PATH": str(shim.parent)}
    assert interpreters.interpreter_for(minor, environ, own) == str(kept)
    assert interpreters.interpreter_for(minor, environ, f"{name}.98") == sys.executable
    assert interpreters.interpreter_for(minor, environ) == sys.executable
    kept.unlink()
    assert interpreters.interpreter_for(minor, environ, own) == sys.executable
    assert asked == [str(kept)]
    assert interpreters.exact_interpreter(own, environ) == str(shim)


def test_an_interpreter_is_asked_anew_when_its_file_is_another(tmp_path: Path) -> None:
    python = tmp_path / "python"
    said = "import sys; print('3.11.{}', 'final', '00' * 4, 'cpython-311', sep='\\n')"
    for patch in (1, 2):
        python.write_text(f"#!{sys.executable}\n{said.format(patch)}\n# {'x' * patch}")
        python.chmod(0o755)
        assert interpreters.version_of(python) == f"3.11.{patch}"
    python.unlink()
    assert interpreters.version_of(python) is None


def test_bytecode_that_is_not_wanted(bench: Any, make_wheel: Any) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo"))
    bench.site = Site(bytecode=False)
    assert not [path for path in bench.build(image).tree if path.endswith(".pyc")]
    assert warnings(bench) == []
    bench.site = Site()
    assert [path for path in bench.build(image).tree if path.endswith(".pyc")]


def test_layers_are_uploaded_while_others_are_made(
    bench: Any, make_wheel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = bench.registry
    base = bench.base(DEBIAN, Env=ENV)
    before = len(registry.requests("PUT", "/app/blobs/uploads/"))
    real = pipeline.bytecode_layer

    def compile_later(*args: Any, **options: Any) -> Any:
        for _ in range(500):  # until the layer of modules has arrived, however slow this machine is
            time.sleep(0.02)
            if len(registry.requests("PUT", "/app/blobs/uploads/")) > before:
                break
        else:
            raise AssertionError("nothing was uploaded before the image was whole")
        return real(*args, **options)

    monkeypatch.setattr(pipeline, "bytecode_layer", compile_later)
    image = Image.from_base(base).with_wheels(make_wheel("demo")).clone(name="app", registry=registry.host)
    result = bench.engine().ensure([("app", image)], Push(bench.client))[0]
    made = bench.read(result.uri)
    own = {layer["digest"]: layer["size"] for layer in made.manifest["layers"][1:]}
    config, root = made.manifest["config"]["size"], len(bench.client.manifest(Reference.parse(result.uri)).raw)
    assert result.bytes_uploaded == sum(own.values()) + config + root
    assert len(registry.requests("PUT", "/app/blobs/uploads/")) - before == len(own) + 1


def test_what_is_known_needs_no_wheel(bench: Any, make_wheel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo"))
    first = bench.build(image)
    monkeypatch.setattr(fetched, "WheelFile", None)
    monkeypatch.setattr(fetched, "Fetcher", None)
    assert bench.build(image).manifest["layers"] == first.manifest["layers"]
    blobs = IMAGES.at(bench.folder / "cache") / "blobs" / "sha256"
    for layer in first.manifest["layers"][1:]:
        (blobs / layer["digest"].removeprefix("sha256:")).unlink()
    monkeypatch.undo()
    assert bench.build(image).digest == first.digest


def test_a_base_that_has_an_environment(bench: Any, make_wheel: Any) -> None:
    """One made by us before: what it has is not installed again, and what would replace it is refused."""
    one = bench.build(Image.from_base(bench.base(DEBIAN, Env=ENV), name="one").with_wheels(make_wheel("first")))
    (tag,) = bench.registry.contents.repository("one").tags
    below = Image.from_base(f"{bench.registry.host}/one:{tag}", name="two")
    made = bench.build(below.with_wheels(make_wheel("second"), make_wheel("first")))
    assert {f"{SITE}/first/__init__.py", f"{SITE}/second/__init__.py"} <= made.tree.keys()
    new = {path for layer in made.layers[len(one.layers) :] for path in layer}
    assert f"{SITE}/first/__init__.py" not in new
    assert "opt/venv/pyvenv.cfg" not in new
    with pytest.raises(NotDirectError, match=r"must be replaced: first 1\.0 by first 2\.0"):
        bench.build(below.with_wheels(make_wheel("first", "2.0")))


def test_a_package_without_a_wheel(bench: Any, make_wheel: Any) -> None:
    wheel = make_wheel("native", tag="cp311-cp311-macosx_11_0_arm64")
    with pytest.raises((NotDirectError, BuildError), match="native"):
        bench.build(Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(wheel))


@pytest.mark.parametrize(
    ("entries", "env", "error", "message"),
    [
        ({"usr/bin/python3": None}, ENV, BuildError, "layer 1, .* the base image has no Python"),
        ({}, ["PATH=/opt/bin"], BuildError, "the base image has no Python"),
        ({"usr/bin/python3": "#!/bin/sh\n"}, ENV, NotDirectError, "what Python /usr/bin/python3 of the base is"),
        ({"usr/bin/python3.11": "#!/bin/sh\n"}, ENV, NotDirectError, "what Python /usr/bin/python3 of the base is"),
        ({"var/lib/dpkg/status": "none"}, ENV, NotDirectError, "does not say which C library it has"),
    ],
)
def test_bases_that_cannot_have_one(
    bench: Any, make_wheel: Any, entries: dict[str, Any], env: list[str], error: type[Exception], message: str
) -> None:
    changed = {path: what for path, what in {**DEBIAN, **entries}.items() if what is not None or path.endswith("/")}
    with pytest.raises(error, match=message):
        bench.build(Image.from_base(bench.base(changed, Env=env)).with_wheels(make_wheel("demo")))


@pytest.mark.parametrize(
    "entries",
    [
        {"usr/bin/python3": "= usr/bin/python3.11"},
        {"usr/bin/python3": "-> /etc/alternatives/python3", "etc/alternatives/python3": "-> ../../usr/bin/python3.11"},
        {"usr/bin/python3": "-> /bin/python3.11"},  # through the link /bin
        {"var/lib/dpkg/status": "x", "usr/lib/libc.so.6": b"\0GNU C Library (Debian) stable release version 2.36.\n\0"},
    ],
)
def test_interpreters_and_libraries_that_are_found(bench: Any, make_wheel: Any, entries: dict[str, Any]) -> None:
    made = bench.build(Image.from_base(bench.base({**DEBIAN, **entries}, Env=ENV)).with_wheels(make_wheel("demo")))
    assert f"{SITE}/demo/__init__.py" in made.tree
    assert made.tree["opt/venv/bin/python"].linkname == "/usr/bin/python3"


def test_without_a_path_the_usual_one_holds(bench: Any, make_wheel: Any) -> None:
    made = bench.build(Image.from_base(bench.base(DEBIAN)).with_wheels(make_wheel("demo")))
    assert made.run["Env"][0] == "PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def test_a_musl_base_for_another_machine(bench: Any, make_wheel: Any) -> None:
    base = bench.base(ALPINE, Env=ENV, platform="arm64")
    wheel = make_wheel("native", tag="cp311-cp311-musllinux_1_2_aarch64")
    other = make_wheel("manylinux", tag="cp311-cp311-manylinux_2_17_aarch64")
    image = Image.from_base(base, platform="linux/arm64")
    assert f"{SITE}/native/__init__.py" in bench.build(image.with_wheels(wheel)).tree
    with pytest.raises((NotDirectError, BuildError), match="manylinux"):
        bench.build(image.with_wheels(other))


def test_a_requirement_that_nothing_satisfies(bench: Any, make_wheel: Any) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(
        make_wheel("demo", requires=("absent",)), extra_args="--no-index"
    )
    with pytest.raises(BuildError, match=r"app: layer 1, .*could not be resolved") as caught:
        bench.build(image)
    assert caught.value.hint


def test_a_cancel_while_packages_are_resolved(
    bench: Any, make_wheel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "uv"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr("imagebuilder.packages.uv.own_uv", lambda: str(slow))
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        bench.build(Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo")), cancel=cancel)
    assert time.monotonic() - began < 300  # the resolver is not waited for


def test_a_cancel_while_layers_are_written_leaves_nothing(
    bench: Any, make_wheel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = threading.Event()
    real = pipeline.spliced_layer

    def splice(*args: Any, **options: Any) -> Any:
        cancel.set()
        return real(*args, **options)

    monkeypatch.setattr(pipeline, "spliced_layer", splice)
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo"))
    with pytest.raises(KeyboardInterrupt):
        bench.build(image, cancel=cancel)
    blobs = IMAGES.at(bench.folder / "cache") / "blobs" / "sha256"
    assert not list(blobs.glob(".part-*"))
    assert DPKG
