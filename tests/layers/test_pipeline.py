from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from imagebuilder.errors import SourceError
from imagebuilder.layers import (
    Compiler,
    InstallTarget,
    LayerCache,
    Pipeline,
    Plan,
    WheelFile,
    assemble,
    assemble_bytecode,
    packing,
    pipeline,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from imagebuilder.layers import Layer

    from .conftest import MakeWheel

TARGET = InstallTarget(python=(sys.version_info[0], sys.version_info[1]))


@pytest.fixture
def wheels(make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch) -> list[WheelFile]:
    """Two big ones that collide, a big one alone, and a small one."""
    for module in (packing, pipeline):
        monkeypatch.setattr(module, "BIG", 4000)
    noise = [bytes((number * factor) % 251 for number in range(9000)) for factor in (7, 11, 13)]
    return [
        WheelFile(make_wheel({"ns/shared.py": b"x = 1\n", "one.bin": noise[0]}, name="one")),
        WheelFile(make_wheel({"ns/shared.py": b"x = 2\n", "two.bin": noise[1]}, name="two")),
        WheelFile(make_wheel({"alone/__init__.py": b"y = 3\n", "alone/z.bin": noise[2]}, name="alone")),
        WheelFile(make_wheel({"small/__init__.py": b"", "small.txt": b"text"}, name="small")),
    ]


def run(one: Pipeline, wheels: list[WheelFile], between: Callable[[], None] = lambda: None) -> None:
    with one:
        for wheel in wheels:
            one.add(wheel)
        between()
        one.finish(wheels)


@pytest.mark.parametrize("budget", [1, 2, 127])
def test_it_makes_what_the_plan_makes(wheels: list[WheelFile], store: Path, tmp_path: Path, budget: int) -> None:
    plan = Plan.of(wheels, TARGET, budget=budget)
    layers = assemble(wheels, TARGET, store, plan=plan, budget=budget)
    bytecode = assemble_bytecode(plan, TARGET, store, Compiler(sys.executable, tmp_path / "a"))
    told: list[Layer] = []
    with Pipeline(
        TARGET,
        tmp_path / "other",
        cache=LayerCache(tmp_path / "cache"),
        budget=budget,
        compiler=Compiler(sys.executable, tmp_path / "b"),
        made=told.append,
    ) as one:
        threads = [threading.Thread(target=one.add, args=(wheel,)) for wheel in wheels]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.finish(wheels) == (layers, bytecode)
    assert sorted(layer.diff_id for layer in told) == sorted(layer.diff_id for layer in (*layers, *bytecode))
    for layer in told:
        assert (tmp_path / "other" / "blobs" / "sha256" / layer.descriptor.digest[7:]).is_file()


def test_a_damaged_wheel_ends_all(wheels: list[WheelFile], make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    path = make_wheel({"bad.py": b"x = 1\n" * 2000}, name="bad")
    bad = WheelFile(path)
    member = bad.files["bad.py"]
    data = bytearray(path.read_bytes())
    data[member.offset + member.compressed // 2] ^= 0xFF
    path.write_bytes(data)
    told: list[Layer] = []
    one = Pipeline(
        TARGET,
        store,
        cache=LayerCache(tmp_path / "cache"),
        budget=127,
        compiler=Compiler(sys.executable, tmp_path / "pyc"),
        made=told.append,
    )
    with pytest.raises(SourceError, match="bad"):
        run(one, [bad, *wheels])
    assert not any("bad" in layer.what for layer in told)
    assert not list((store / "blobs" / "sha256").glob(".part-*"))


def test_nobody_waits_for_what_is_not_wanted(wheels: list[WheelFile], store: Path, tmp_path: Path) -> None:
    cancelled = threading.Event()

    def check() -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt

    one = Pipeline(TARGET, store, cache=LayerCache(tmp_path / "cache"), budget=127, check=check)
    with pytest.raises(KeyboardInterrupt):
        run(one, wheels, cancelled.set)
    assert not list((store / "blobs" / "sha256").glob(".part-*"))
