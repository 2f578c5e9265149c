"""Kept results: hits, misses, versions, serialized calls."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tasksdk import Cache, FunctionBodyPolicy, TaskEnvironment, run, with_runcontext
from tasksdk.errors import TaskDefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

env = TaskEnvironment("caching")
CALLS: list[object] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@env.task(cache="auto")
def square(x: int) -> int:
    CALLS.append(x)
    return x * x


@env.task(cache=Cache(ignored_inputs=("when",)))
def timed(x: int, when: str) -> int:
    CALLS.append(x)
    return x


@env.task(cache=Cache(serialize=True))
async def slow(x: int) -> int:
    CALLS.append(x)
    await asyncio.sleep(0.05)
    return x


@env.task(cache=Cache(serialize=True))
def slow_here(x: int) -> int:
    CALLS.append(x)
    return x


def test_the_same_inputs_hit() -> None:
    assert [run(square, 3).outputs()[0], run(square, 3).outputs()[0], run(square, 4).outputs()[0]] == [9, 9, 16]
    assert CALLS == [3, 4]
    again = run(square, 3)
    assert (again.action.cached, again.action.attempts) == (True, 0)


def test_recomputing_is_an_option_of_the_run() -> None:
    run(square, 3)
    with_runcontext(overwrite_cache=True).run(square, 3)
    assert CALLS == [3, 3]


def test_an_ignored_input_hits() -> None:
    run(timed, 1, "now")
    run(timed, 1, "later")
    run(timed, 2, "later")
    assert CALLS == [1, 2]


def test_ignoring_what_is_no_input_is_an_error() -> None:
    @env.task(cache=Cache(ignored_inputs=("nothing",)))
    def plain(x: int) -> int:
        return x

    with pytest.raises(TaskDefinitionError, match="nothing"):
        run(plain, 1)


def test_a_failure_is_not_kept() -> None:
    @env.task(cache="auto")
    def fails(x: int) -> int:
        CALLS.append(x)
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            run(fails, 1)
    assert CALLS == [1, 1]


def test_identical_calls_at_the_same_time_run_once() -> None:
    @env.task
    async def many() -> int:
        return sum(await asyncio.gather(*[slow(7) for _ in range(8)], *[slow(8) for _ in range(3)]))

    @env.task
    async def many_here() -> int:
        return sum(await asyncio.gather(*[slow_here.aio(7) for _ in range(8)]))

    assert run(many).outputs()[0] == 7 * 8 + 8 * 3
    assert sorted(CALLS) == [7, 8]  # type: ignore[type-var] # these are numbers
    CALLS.clear()
    assert run(many_here).outputs()[0] == 56
    assert CALLS == [7]


# The task says who computes, leaves a child that never ends if asked to, and waits for leave to give its result.
_PROCESS = """
import os, sys, time
from pathlib import Path
from tasksdk import Cache, TaskEnvironment, run
from tasksdk.store.turns import Turn

env, folder, name = TaskEnvironment("serial"), Path(sys.argv[1]), sys.argv[2]
forks, bound = "forks" in sys.argv, 1000 if "bounded" in sys.argv else 0

@env.task(cache=Cache("override", version_override="1", serialize=True), timeout=bound)
def compute(x: int) -> str:
    if forks and name == "first":
        child = os.fork()
        while child == 0:
            time.sleep(1000)
        Path(folder, "child").write_text(str(child))
    Path(folder, name + " computes").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.01)
    return name

class Noted(Turn):
    def try_enter(self):
        entered = super().try_enter()
        if not entered:
            Path(folder, name + " waits").touch()
        return entered

import tasksdk.store.turns
tasksdk.store.turns.Turn = Noted
print(run(compute, x=1).outputs()[0])
"""


@contextmanager
def _process(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _PROCESS, str(folder), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _appears(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def test_of_two_processes_the_second_takes_the_result_of_the_first(tmp_path: Path) -> None:
    with _process(tmp_path, "first") as first:
        _appears(tmp_path / "first computes")
        with _process(tmp_path, "second") as second:
            _appears(tmp_path / "second waits")
            (tmp_path / "go").touch()
            assert first.communicate()[0] == second.communicate()[0] == "first\n"
    assert not (tmp_path / "second computes").exists()


@pytest.mark.parametrize("how", ["plain", "bounded", "forks"])
def test_a_killed_process_gives_its_turn_to_the_next(tmp_path: Path, how: str) -> None:
    with _process(tmp_path, "first", how) as first:
        _appears(tmp_path / "first computes")
        with _process(tmp_path, "second", how) as second:
            _appears(tmp_path / "second waits")
            assert not (tmp_path / "second computes").exists()
            first.kill()
            _appears(tmp_path / "second computes")
            (tmp_path / "go").touch()
            assert second.communicate()[0] == "second\n"
    if how == "forks":
        os.kill(int((tmp_path / "child").read_text()), 9)


def _module(tmp_path: Path, name: str, body: str, helper: str = "return x", cache: str = '"auto"') -> ModuleType:
    path = tmp_path / f"{name}.py"
    path.write_text(
        "from tasksdk import Cache, FunctionBodyPolicy, TaskEnvironment\n"
        "env = TaskEnvironment('edited')\n"
        f"def helper(x):\n    {helper}\n"
        f"@env.task(cache={cache})\ndef task(x: int) -> int:\n    CALLS.append(x)\n    {body}\n"
    )
    spec = importlib.util.spec_from_file_location(f"edited_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    module.CALLS = CALLS  # type: ignore[attr-defined] # the task's module looks it up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("second", "calls"),
    [
        ({"body": "return helper(x)"}, 1),
        ({"body": "return helper(x) + 0"}, 2),
        ({"body": "return helper(x)", "helper": "return x + 0"}, 2),
        ({"body": "return helper(x)", "cache": 'Cache(salt="s")'}, 2),
        ({"body": "return helper(x)", "cache": 'Cache("override", "1")'}, 2),
    ],
)
def test_an_edit_misses(tmp_path: Path, second: dict[str, str], calls: int) -> None:
    for name, settings in (("one", {"body": "return helper(x)"}), ("two", second)):
        run(_module(tmp_path, name, **settings).task, 1)
    assert len(CALLS) == calls


def test_the_body_alone_counts_where_the_policy_says_so(tmp_path: Path) -> None:
    cache = "Cache(policies=[FunctionBodyPolicy()])"
    for name, helper in (("one", "return x"), ("two", "return x + 1")):
        run(_module(tmp_path, name, "return helper(x)", helper, cache).task, 1)
    assert len(CALLS) == 1


def test_a_policy_of_ones_own_decides() -> None:
    class Mine(FunctionBodyPolicy):
        version = "1"

        def get_version(self, salt: str, params: object) -> str:
            return self.version

    @env.task(cache=Cache(policies=[Mine()]))
    def mine(x: int) -> int:
        CALLS.append(x)
        return x

    run(mine, 1)
    run(mine, 1)
    Mine.version = "2"
    run(mine.override(short_name="again"), 1)
    assert CALLS == [1, 1]
