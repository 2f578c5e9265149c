from __future__ import annotations

import importlib.util
import marshal
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagebuilder.errors import BuildError, SourceError
from imagebuilder.layers import Compiler, InstallTarget, LayerCache, Plan, WheelFile, assemble_bytecode
from imagebuilder.layers.compiler import CompilerProcess, Module

from .conftest import MakeWheel, read

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = sys.version_info[0], sys.version_info[1]
TARGET = InstallTarget(python=HERE)
SITE = f"opt/venv/lib/python{HERE[0]}.{HERE[1]}/site-packages"
TAG = sys.implementation.cache_tag


@pytest.fixture
def plan(make_wheel: MakeWheel) -> Plan:
    path = make_wheel(
        {
            "demo/__init__.py": b"x = 'here'\n",
            "demo/bad.py": b"print 1\n",
            "demo/latin.py": b"# coding: latin-1\ny = '\xe9'\n",
            "demo/deep.py": b"(" * 5000,
            "demo-1.0.data/scripts/tool.py": b"#!python\n",
        },
    )
    return Plan.of([WheelFile(path)], TARGET)


def test_modules_are_compiled_for_their_place(plan: Plan, store: Path, tmp_path: Path) -> None:
    (layer,) = assemble_bytecode(plan, TARGET, store, Compiler(sys.executable, tmp_path / "pyc"))
    found = read(store, layer)
    files = {path for path, (entry, _) in found.items() if entry.isfile()}
    assert files == {f"{SITE}/demo/__pycache__/{name}.{TAG}.pyc" for name in ("__init__", "latin")}
    data = found[f"{SITE}/demo/__pycache__/__init__.{TAG}.pyc"][1]
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\1\0\0\0"  # by hash, unchecked
    code = marshal.loads(data[16:])
    assert code.co_filename == f"/{SITE}/demo/__init__.py"


def test_the_same_bytes_again_and_from_what_was_kept(plan: Plan, store: Path, tmp_path: Path) -> None:
    made = [assemble_bytecode(plan, TARGET, store, Compiler(sys.executable, tmp_path / folder)) for folder in "aab"]
    assert made[0] == made[1] == made[2]
    cache = LayerCache(tmp_path / "cache")
    compiler = Compiler(sys.executable, tmp_path / "a")
    assert assemble_bytecode(plan, TARGET, store, compiler, cache=cache) == made[0]
    assert assemble_bytecode(plan, TARGET, store, compiler, cache=cache) == made[0]


def test_the_module_that_is_installed_is_the_one_compiled(make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    wheels = [
        WheelFile(make_wheel({"ns/__init__.py": b"'first'\n", "ns/one.py": b""}, name="a")),
        WheelFile(make_wheel({"ns/__init__.py": b"print 1\n"}, name="b")),
    ]
    (layer,) = assemble_bytecode(Plan.of(wheels, TARGET), TARGET, store, Compiler(sys.executable, tmp_path / "pyc"))
    assert {path.rpartition("/")[2] for path in read(store, layer) if path.endswith(".pyc")} == {f"one.{TAG}.pyc"}


def test_wheels_that_share_a_layer_are_compiled_once(
    make_wheel: MakeWheel, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = [WheelFile(make_wheel({f"{name}.py": b"x = 'here'\n"}, name=name)) for name in ("one", "two")]
    plan = Plan.of(wheels, TARGET, budget=1)
    compiler = Compiler(sys.executable, tmp_path / "pyc")
    made = assemble_bytecode(plan, TARGET, store, compiler)
    packs = sorted((tmp_path / "pyc").glob("*.pack"))
    assert len(packs) == 2
    packs[0].write_bytes(bytes(packs[0].stat().st_size))  # damage is noticed
    assert assemble_bytecode(plan, TARGET, store, compiler) == made
    monkeypatch.delattr(Compiler, "compiled")
    assert assemble_bytecode(plan, TARGET, store, compiler) == made


def test_more_modules_than_one_process_compiles(make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    names = [f"{letter}{number}" for letter in "abc" for number in range(40)]
    sources = {f"demo/{name}/m.py": f"value = '{name}'\n".encode() * 4000 for name in names}
    wheel = WheelFile(make_wheel({**sources, "demo/a1.py": b"other = 1\n", "demo/a/x.py": b""}))
    assert sum(map(len, sources.values())) > 4 << 20
    plan = Plan.of([wheel], TARGET)
    (layer,) = assemble_bytecode(plan, TARGET, store, Compiler(sys.executable, tmp_path / "a"))
    found = read(store, layer)
    codes = {path: data for path, (entry, data) in found.items() if entry.isfile()}
    assert len(codes) == len(names) + 2
    for name in names:
        space: dict[str, str] = {}
        exec(marshal.loads(codes[f"{SITE}/demo/{name}/__pycache__/m.{TAG}.pyc"][16:]), space)
        assert space["value"] == name
    order = [path.split("/") for path in found]
    assert order == sorted(order)
    # However many processes there are, and whatever they compiled before.
    other = Compiler(sys.executable, tmp_path / "b")
    assert assemble_bytecode(plan, TARGET, store, other) == [layer]
    with other:
        first = list(other.compiled(wheel, plan.installed(wheel), TARGET))
        assert list(other.compiled(wheel, plan.installed(wheel), TARGET)) == first
    assert {entry.path: entry.content for entry in first} == codes


def test_a_wheel_that_changes_while_it_is_compiled(make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    path = make_wheel({"demo/__init__.py": b"x = 1\n" * 100})
    plan = Plan.of([WheelFile(path)], TARGET)
    member = plan.groups[0][0].files["demo/__init__.py"]
    data = bytearray(path.read_bytes())
    data[member.offset + member.compressed // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(SourceError, match="changed while it was read"):
        assemble_bytecode(plan, TARGET, store, Compiler(sys.executable, tmp_path / "pyc"))


def test_wheels_without_modules_make_no_layer(make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    plan = Plan.of([WheelFile(make_wheel({"data.txt": b""}))], TARGET)
    assert assemble_bytecode(plan, TARGET, store, Compiler(sys.executable, tmp_path / "pyc")) == []


def test_interpreters_that_do_not_serve(plan: Plan, store: Path, tmp_path: Path) -> None:
    for interpreter, match in (("/nonexistent", "does not run"), ("/bin/true", "no Python"), ("/bin/cat", "no Python")):
        with pytest.raises(BuildError, match=match):
            assemble_bytecode(plan, TARGET, store, Compiler(interpreter, tmp_path / "pyc"))
    with pytest.raises(BuildError, match=r"not 3\.1"):
        assemble_bytecode(plan, InstallTarget(python=(3, 1)), store, Compiler(sys.executable, tmp_path / "pyc"))


def test_an_interpreter_that_became_another(plan: Plan, store: Path, tmp_path: Path) -> None:
    with CompilerProcess(sys.executable) as process:
        was = process.identity._replace(version="3.0.1")
    compiler = Compiler(sys.executable, tmp_path / "pyc", identity=was._replace(version=f"{HERE[0]}.{HERE[1]}.99"))
    with pytest.raises(BuildError, match=rf"was Python {HERE[0]}\.{HERE[1]}\.99, and is ") as caught:
        assemble_bytecode(plan, TARGET, store, compiler)
    assert caught.value.hint == "build again"
    assert left(store) == []


def test_an_interpreter_that_vanishes(plan: Plan, store: Path, tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    compiler = Compiler(link, tmp_path / "pyc")
    assert compiler.identity.minor == HERE
    link.unlink()
    with pytest.raises(BuildError, match="does not run"):
        assemble_bytecode(plan, TARGET, store, compiler)
    assert left(store) == []


def test_a_compiling_process_that_is_killed(
    make_wheel: MakeWheel, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a kernel that is short of memory: the build ends with a message, and leaves nothing behind."""
    slow = b"x = " + b"[" * 90 + b"1," * 200_000 + b"]" * 90 + b"\n"
    plan = Plan.of([WheelFile(make_wheel({f"demo/slow{number}.py": slow for number in range(4)}))], TARGET)
    started: list[CompilerProcess] = []
    real = CompilerProcess.compile

    def compile_noted(process: CompilerProcess, wheel: str, modules: Sequence[Module]) -> list[bytes]:
        started.append(process)
        return real(process, wheel, modules)

    monkeypatch.setattr(CompilerProcess, "compile", compile_noted)
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for pid in [process.pid for process in started]:
                with suppress(OSError):
                    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
                        os.kill(child, signal.SIGKILL)
                        killed.append(child)
            time.sleep(0.001)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(BuildError, match=r"stopped while it compiled .*\.whl"):
            assemble_bytecode(plan, TARGET, store, Compiler(sys.executable, tmp_path / "pyc"))
    finally:
        killer.join()
    assert killed
    assert left(store) == []


def left(store: Path) -> list[str]:
    return [path.name for path in (store / "blobs" / "sha256").iterdir()] if store.exists() else []
