from __future__ import annotations

import importlib.util
import marshal
import sys
from typing import TYPE_CHECKING

import pytest

from imagebuilder.errors import BuildError
from imagebuilder.layers import Compiler, InstallTarget, LayerCache, Plan, WheelFile, assemble_bytecode

from .conftest import MakeWheel, read

if TYPE_CHECKING:
    from pathlib import Path

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
    (pack,) = (tmp_path / "a").glob("*.pack")
    pack.write_bytes(bytes(pack.stat().st_size))  # damage is noticed
    assert assemble_bytecode(plan, TARGET, store, Compiler(sys.executable, tmp_path / "a")) == made[0]
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


def test_wheels_without_modules_make_no_layer(make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    plan = Plan.of([WheelFile(make_wheel({"data.txt": b""}))], TARGET)
    assert assemble_bytecode(plan, TARGET, store, Compiler(sys.executable, tmp_path / "pyc")) == []


def test_interpreters_that_do_not_serve(plan: Plan, store: Path, tmp_path: Path) -> None:
    for interpreter, match in (("/nonexistent", "does not run"), ("/bin/true", "no Python"), ("/bin/cat", "no Python")):
        with pytest.raises(BuildError, match=match):
            assemble_bytecode(plan, TARGET, store, Compiler(interpreter, tmp_path / "pyc"))
    with pytest.raises(BuildError, match=r"not 3\.1"):
        assemble_bytecode(plan, InstallTarget(python=(3, 1)), store, Compiler(sys.executable, tmp_path / "pyc"))
