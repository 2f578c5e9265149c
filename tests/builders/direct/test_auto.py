"""Who builds what: BuildKit is a double here that counts what it was asked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.cache.kinds import PREFIXES
from imagebuilder.errors import BuildError, BuilderUnavailableError, RegistryError
from imagebuilder.registry.memory.fault import Fault

from .bases import DEBIAN, OCI

if TYPE_CHECKING:
    from pathlib import Path


def warnings(bench: Any) -> list[str]:
    return [event.message for event in bench.events if isinstance(event, Warning)]


def test_files_never_reach_buildkit(bench: Any, code: Path) -> None:
    made = bench.build(Image.from_base(bench.base(DEBIAN)).with_source_folder(code, "/code"), bench.auto())
    assert "code/main.py" in made.tree
    assert bench.buildkit.requests == []
    assert warnings(bench) == []


def test_what_runs_is_built_once(bench: Any, code: Path, tmp_path: Path) -> None:
    image = (
        Image.from_base(bench.base(DEBIAN))
        .with_commands(["make"])
        .with_source_folder(code, "/code")
        .with_env_vars({"A": "1"})
        .with_labels({"mine": "yes"})
    )
    made = bench.build(image, bench.auto())
    (request,) = bench.buildkit.requests
    assert [type(step.op).__name__ for step in request.plan.steps] == ["Exec"]
    assert {"made-by", "code/main.py"} <= made.tree.keys()
    assert made.run["Env"] == ["A=1"]
    assert made.run["Labels"]["mine"] == "yes"
    (code / "main.py").write_text("changed")
    assert bench.build(image, bench.auto()).content["code/main.py"] == b"changed"
    assert len(bench.buildkit.requests) == 1
    # A machine that has nothing takes it from the registry, where it lies under its own identifier.
    bench.folder = tmp_path / "empty"
    (code / "main.py").write_text("again")
    made = bench.build(image, bench.auto())
    assert {"made-by", "code/main.py"} <= made.tree.keys()
    assert len(bench.buildkit.requests) == 1
    bench.build(image, bench.auto(), no_cache=True)
    assert len(bench.buildkit.requests) == 2
    assert warnings(bench) == []


def test_a_prefix_that_is_damaged_is_made_again(bench: Any, code: Path) -> None:
    image = Image.from_base(bench.base(DEBIAN)).with_commands(["make"]).with_source_folder(code, "/code")
    bench.build(image, bench.auto())
    for note in PREFIXES.at(bench.folder / "cache").iterdir():
        note.write_text("{broken")
    bench.registry.contents.repository("app").tags.clear()
    bench.build(image, bench.auto())
    assert len(bench.buildkit.requests) == 2


def test_a_prefix_that_cannot_be_pushed_is_told(bench: Any, code: Path) -> None:
    image = Image.from_base(bench.base(DEBIAN)).with_commands(["make"]).with_source_folder(code, "/code")
    bench.registry.fault(Fault("PUT", "/manifests/", status=403))
    bench.build(image, bench.auto())
    (message,) = warnings(bench)
    assert message.startswith("other machines will build the steps that run anew: ")


def test_what_cannot_be_assembled_goes_to_buildkit(bench: Any) -> None:
    bench.build(Image.from_base(bench.base(DEBIAN, OnBuild=["RUN x"])).with_env_vars({"A": "1"}), bench.auto())
    assert len(bench.buildkit.requests) == 1
    (message,) = warnings(bench)
    assert message.startswith("all of it is built by BuildKit: the base ")
    assert message.endswith("has ONBUILD steps, which must run")


def test_what_turns_out_to_need_buildkit_is_built_up_to_there(bench: Any, code: Path, make_wheel: Any) -> None:
    """A base whose steps wait for the first layer, and options that only an installer understands."""
    image = Image.from_base(bench.base(DEBIAN, OnBuild=["RUN x"])).with_env_vars({"A": "1"})
    made = bench.build(image.with_source_folder(code, "/code").with_env_vars({"B": "2"}), bench.auto())
    (request,) = bench.buildkit.requests
    assert [type(step.op).__name__ for step in request.plan.steps] == ["SetEnv"]
    assert {"made-by", "code/main.py"} <= made.tree.keys()
    (message,) = warnings(bench)
    assert message.startswith("layer 1 is built by BuildKit: the base ")

    bench.events.clear()
    base = bench.base(DEBIAN, Env=["PATH=/usr/bin"], name="other")
    image = Image.from_base(base, name="options").with_source_folder(code, "/code")
    image = image.with_wheels(make_wheel("demo"), extra_args="--no-index")
    image = image.with_pip_packages("b", extra_args="--no-build-isolation")
    bench.build(image.with_source_folder(code, "/more"), bench.auto())
    assert bench.buildkit.requests[-1].plan.titles[-1] == "pip packages b"
    (message,) = warnings(bench)
    assert message.startswith("layers 1 to 3 are built by BuildKit: ")
    (code / "main.py").write_text("changed")
    assert bench.build(image.with_source_folder(code, "/more"), bench.auto()).content["more/main.py"] == b"changed"


def test_accounts_of_the_sources_are_left_to_buildkit(bench: Any, code: Path) -> None:
    (code / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    image = Image.from_base(bench.base(DEBIAN)).with_source_file(code / "passwd", "/etc/").with_user("me")
    assert bench.build(image.with_env_vars({"A": "1"}), bench.auto()).run["Env"] == ["A=1"]
    assert len(bench.buildkit.requests) == 1
    (message,) = warnings(bench)
    assert message == "layers 1 to 2 are built by BuildKit: its sources bring accounts of their own"


def test_a_dockerfile_goes_to_buildkit(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    bench.build(Image.from_dockerfile(tmp_path / "Dockerfile", name="docker"), bench.auto())
    assert len(bench.buildkit.requests) == 1
    assert warnings(bench) == []


def test_a_base_that_cannot_be_read_here(bench: Any) -> None:
    zstd = (b"\x28\xb5\x2f\xfd rest", f"{OCI}layer.v1.tar+zstd")
    image = Image.from_base(bench.base(DEBIAN, raw=(zstd,))).with_env_vars({"A": "1"})
    bench.build(image, bench.auto())
    assert len(bench.buildkit.requests) == 1
    (message,) = warnings(bench)
    assert "since we could not read the base: layer sha256:" in message
    assert "zstd" in message


def test_without_buildkit_the_first_reason_is_told(bench: Any) -> None:
    image = Image.from_base(f"{bench.registry.host}/absent:1").with_env_vars({"A": "1"})
    bench.buildkit.failures["app"] = BuilderUnavailableError("no docker")
    with pytest.raises(RegistryError, match="absent:1 does not exist"):
        bench.build(image, bench.auto())


def test_an_index_that_does_not_answer_is_no_reason_for_buildkit(bench: Any, make_wheel: Any) -> None:
    """What we cannot fetch BuildKit could not either: the error is told, and not hidden behind another."""
    image = Image.from_base(bench.base(DEBIAN, Env=["PATH=/usr/bin"])).with_wheels(
        make_wheel("demo", requires=("absent",)), extra_args="--no-index"
    )
    with pytest.raises(BuildError, match="could not be resolved"):
        bench.build(image, bench.auto())
    assert bench.buildkit.requests == []


def test_a_cancel_reaches_both(bench: Any, code: Path) -> None:
    cancel = threading.Event()
    bench.buildkit.gate["app"] = threading.Event()
    bench.buildkit.begun["app"] = cancel
    image = Image.from_base(bench.base(DEBIAN)).with_commands(["sleep"]).with_source_folder(code, "/code")
    with pytest.raises(KeyboardInterrupt):
        bench.build(image, bench.auto(), cancel=cancel)
    assert bench.buildkit.cancelled == ["app"]
