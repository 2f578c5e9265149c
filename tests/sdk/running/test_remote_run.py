"""Runs on an engine: remote and hybrid, with the same objects as here."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tasksdk import with_runcontext
from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.fixed import FixedEngine, Outcome
from tasksdk.errors import OutOfMemoryError, TaskAbortedError, TaskError, TaskInputError, TaskTimeoutError

if TYPE_CHECKING:
    from types import ModuleType

MODULE = """
import asyncio, os, time
from pathlib import Path
from tasksdk import Cache, Secret, TaskEnvironment, ctx, group

env = TaskEnvironment("far", env_vars={"COLOUR": "red"})

@env.task
def where(x: int) -> str:
    context = ctx()
    print("hello from", x)
    return f"{os.getpid()} {context.mode} {context.action.run_name} {context.action.attempt} {os.environ['COLOUR']}"

@env.task
def double(x: int) -> int:
    return x * 2

@env.task
async def parent(n: int) -> list[str]:
    with group("children"):
        return [str(os.getpid()), *await asyncio.gather(*[where.aio(x) for x in range(n)])]

@env.task
def sync_parent(n: int) -> int:
    return sum(double(x) for x in range(n))

@env.task
def boom(x: int) -> int:
    raise ValueError(f"boom {x}")

@env.task(retries=1)
def second_time() -> str:
    context = ctx()
    kept = context.checkpoint.load()
    if kept is None:
        context.checkpoint.save(b"first")
        raise RuntimeError("first")
    return kept.decode()

@env.task(secrets=Secret("token", "team"))
def secret() -> int:
    return len(os.environ["TEAM_TOKEN"])

@env.task(timeout=1)
def slow() -> None:
    time.sleep(1000)

@env.task
def waits(folder: str) -> None:
    Path(folder, "started").write_text(str(os.getpid()))
    time.sleep(1000)

@env.task(cache="auto")
def kept(folder: str) -> int:
    path = Path(folder, "calls")
    path.write_text(path.read_text() + "x" if path.exists() else "x")
    return 1

@env.task
def dies() -> None:
    os._exit(3)
"""


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "far_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("far_module", None)
    return importlib.import_module("far_module")


def _remote(**settings: object):  # type: ignore[no-untyped-def] # a runner
    return with_runcontext(mode="remote", **settings)  # type: ignore[arg-type] # passed on


def test_a_remote_run_is_another_process(far: ModuleType) -> None:
    started = _remote(name="far-run").run(far.where, x=4)
    assert started.wait() is not None
    pid, mode, name, attempt, colour = started.outputs()[0].split()
    assert int(pid) != os.getpid()
    assert (mode, name, attempt, colour) == ("remote", "far-run", "1", "red")
    assert (started.phase, started.action.attempts, started.inputs()) == ("succeeded", 1, {"x": 4})
    assert list(started.action.logs()) == ["hello from 4"]


def test_logs_are_shown(far: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    _remote().run(far.where, x=7).show_logs()
    assert capsys.readouterr().out == "[far.where] hello from 7\n"


def test_everything_can_be_awaited(far: ModuleType) -> None:
    async def story() -> None:
        started = await _remote(name="awaited").run.aio(far.double, x=4)
        assert started.url
        await started.wait()
        outputs = await started.outputs()
        assert outputs[0] == 8

    asyncio.run(story())


@pytest.mark.parametrize("mode", ["remote", "hybrid"])
def test_children_of_a_parent(far: ModuleType, mode: str) -> None:
    finished = with_runcontext(mode=mode, name=f"family-{mode}").run(far.parent, 2)  # type: ignore[arg-type] # a mode
    parent, *children = finished.outputs()[0]
    assert (int(parent) == os.getpid()) == (mode == "hybrid")
    assert {child.split()[1] for child in children} == {mode}
    if mode == "hybrid":
        assert len({child.split()[0] for child in children} | {parent}) == 3
        assert [action.group for action in finished.actions] == [None, "children", "children"]


def test_a_synchronous_parent_has_remote_children(far: ModuleType) -> None:
    assert with_runcontext(mode="hybrid").run(far.sync_parent, 3).outputs()[0] == 6


def test_a_failure_is_raised_by_outputs_alone(far: ModuleType) -> None:
    started = _remote().run(far.boom, x=3)
    started.wait()
    assert started.phase == "failed"
    with pytest.raises(TaskError, match="ValueError: boom 3") as caught:
        started.outputs()
    assert caught.value.code == "ValueError"
    assert "far_module.py" in caught.value.traceback
    with pytest.raises(TaskError, match="exit code 3"):
        _remote().run(far.dies).outputs()


def test_a_bad_call_fails_here(far: ModuleType) -> None:
    with pytest.raises(TaskInputError, match="no input 'y'"):
        _remote().run(far.double, y=1)


def test_a_retry_reads_the_checkpoint_of_the_attempt_before(far: ModuleType) -> None:
    started = _remote().run(far.second_time)
    assert started.outputs()[0] == "first"
    assert started.action.attempts == 2


def test_secrets_reach_the_task_and_no_file(far: ModuleType, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "hunter2-the-second")
    assert _remote().run(far.secret).outputs()[0] == len("hunter2-the-second")
    assert not [path for path in home.rglob("*") if path.is_file() and b"hunter2-the-second" in path.read_bytes()]


def test_a_timeout_kills(far: ModuleType) -> None:
    started = _remote().run(far.slow)
    with pytest.raises(TaskTimeoutError, match="longer than 1 s"):
        started.outputs()
    assert started.phase == "timed_out"


def _wait_for(path: Path) -> str:
    while not path.exists() or not path.read_text():
        os.sched_yield()
    return path.read_text()


def test_an_abort_ends_the_process(far: ModuleType, tmp_path: Path) -> None:
    started = _remote().run(far.waits, folder=str(tmp_path))
    pid = _wait_for(tmp_path / "started")
    started.abort("enough")
    started.wait()
    with pytest.raises(TaskAbortedError):
        started.outputs()
    assert started.phase == "aborted"
    assert not Path("/proc", pid).exists()


def test_a_killed_client_leaves_no_process(far: ModuleType, tmp_path: Path) -> None:
    call = f"with_runcontext(mode='remote').run(far_module.waits, {str(tmp_path)!r}).wait()"
    script = f"import far_module; from tasksdk import with_runcontext; {call}"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as client:
        pid = _wait_for(tmp_path / "started")
        client.kill()
    while Path("/proc", pid).exists():
        os.sched_yield()


def test_kept_results_need_no_attempt(far: ModuleType, tmp_path: Path) -> None:
    for _ in range(2):
        finished = _remote().run(far.kept, folder=str(tmp_path))
        assert finished.outputs()[0] == 1
    assert (tmp_path / "calls").read_text() == "x"
    assert finished.action.cached


def test_a_run_of_the_same_name_takes_over(far: ModuleType) -> None:
    first = _remote(name="again").run(far.where, x=1).outputs()[0]
    assert _remote(name="again").run(far.where, x=1).outputs()[0] == first


@pytest.mark.parametrize(
    ("end", "error", "attempts"),
    [
        (Exit(ExitReason.OUT_OF_MEMORY, 137), OutOfMemoryError, 2),
        (Exit(ExitReason.EVICTED, message="the node went away"), TaskError, 2),
        (Exit(ExitReason.IMAGE_UNAVAILABLE, message="no such image"), TaskError, 1),
        (Exit(ExitReason.QUEUED_TOO_LONG, message="it waited longer than 1 s"), TaskTimeoutError, 2),
    ],
)
def test_ends_are_told_apart(far: ModuleType, end: Exit, error: type[TaskError], attempts: int) -> None:
    engine = FixedEngine(lambda _spec: Outcome(end))
    task = far.double.override(retries=1)
    started = _remote(engine=engine).run(task, x=1)
    with pytest.raises(error):
        started.outputs()
    assert [spec.attempt for spec in engine.submitted] == list(range(1, attempts + 1))


def test_an_attempt_says_everything_the_task_says(far: ModuleType) -> None:
    engine = FixedEngine(lambda _spec: Outcome(Exit(ExitReason.ERROR, 1)))
    from tasksdk import Resources, Timeout

    task = far.double.override(
        resources=Resources(cpu=2), timeout=Timeout(60, 5), queue="fast", interruptible=True, pod_template="big"
    )
    _remote(engine=engine, name="spec").run(task, x=1).wait()
    (spec,) = engine.submitted
    assert (spec.run, spec.attempt, spec.task) == ("spec", 1, "far.double")
    assert spec.name == f"spec-{spec.action}-1"
    assert (spec.resources.cpu, spec.max_runtime, spec.max_queued, spec.queue) == (2, 60.0, 5.0, "fast")
    assert (spec.interruptible, spec.pod_template, spec.env["COLOUR"]) == (True, "big", "red")
    assert spec.argv[-4:] == ("task-module", "far_module", "task-name", "double")
