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
from tasksdk.errors import (
    OutOfMemoryError,
    TaskAbortedError,
    TaskError,
    TaskInputError,
    TaskTimeoutError,
    UserInputError,
)
from tasksdk.store.database import database

if TYPE_CHECKING:
    from types import ModuleType

MODULE = """
import asyncio, os, time
from pathlib import Path
from tasksdk import Cache, IgnoreOutputs, Secret, TaskEnvironment, ctx, group

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

@env.task(timeout=60)
def bounded_parent(n: int) -> int:
    return sum(double(x) for x in range(n))

@env.task(timeout=2)
def late_parent(folder: str) -> None:
    waits(folder)

@env.task
def reports(size: int) -> str:
    ctx().report.log("<p>page</p>")
    return "x" * size

@env.task
def ignored() -> tuple[int, str]:
    raise IgnoreOutputs

@env.task
def told() -> dict[str, str]:
    context = ctx()
    return {
        "version": context.version,
        "base": context.run_base_dir,
        "inputs": context.input_path,
        "group": context.group_data.name if context.group_data else "",
        "raw": context.raw_data_path.path,
    }

@env.task
def grouped() -> dict[str, str]:
    with group("several"):
        return told()
"""

SCRIPT = """
import sys
from tasksdk import TaskEnvironment, with_runcontext

env = TaskEnvironment("script")

class Box:
    def __init__(self, held):
        self.held = held

@env.task
def opened(box: Box, other) -> Box:
    assert type(other) is Box
    return Box(box.held + other.held)

if __name__ == "__main__":
    box = with_runcontext(mode="remote").run(opened, Box(1), other=Box(2)).outputs()[0]
    print(type(box) is Box, box.held)
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


@pytest.mark.parametrize("begun", [True, False])
def test_a_client_that_ends_first_aborts_its_run(far: ModuleType, tmp_path: Path, *, begun: bool) -> None:
    until = f"while {begun} and not Path({str(tmp_path / 'started')!r}).exists(): os.sched_yield()"
    start = f"run = with_runcontext('remote', 'left').run(far_module.waits, {str(tmp_path)!r})"
    lines = ("import os; from pathlib import Path", "import far_module; from tasksdk import with_runcontext", start)
    script = "\n".join((*lines, until))
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert "run left was aborted, because this process ended before it; run.wait() waits for its end\n" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert {row.phase for row in database().actions("left")} <= {"aborted"}
    row = database().run("left")
    assert row is not None
    assert row.phase == "aborted"


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


def test_a_bounded_parent_has_remote_children(far: ModuleType, tmp_path: Path) -> None:
    finished = with_runcontext(mode="hybrid").run(far.bounded_parent, 3)
    assert finished.outputs()[0] == 6
    assert [(action.task_name, action.phase) for action in finished.actions] == [
        ("far.bounded_parent", "succeeded"),
        *[("far.double", "succeeded")] * 3,
    ]
    late = with_runcontext(mode="hybrid", name="late")
    with pytest.raises(TaskTimeoutError, match="longer than 2 s"):
        late.run(far.late_parent, folder=str(tmp_path))
    assert [row.phase for row in database().actions("late")] == ["timed_out", "aborted"]
    while Path("/proc", _wait_for(tmp_path / "started")).exists():
        os.sched_yield()


def test_an_engine_of_ones_own_is_not_taken_into_a_bounded_parent(far: ModuleType) -> None:
    with pytest.raises(UserInputError, match="given as an object"):
        with_runcontext(mode="hybrid", engine=FixedEngine()).run(far.bounded_parent, 3)


def test_overrides_reach_the_attempt(far: ModuleType) -> None:
    plain = _remote().run(far.reports, 20)
    assert (plain.wait(), plain.action.report)[1] is None
    page = _remote().run(far.reports.override(report=True), 20)
    page.wait()
    assert "<p>page</p>" in page.action.report.read_text()  # type: ignore[union-attr] # it is there
    with pytest.raises(TaskError, match=r"its outputs have .* may have 30"):
        _remote().run(far.reports.override(max_inline_io_bytes=30), 40).outputs()


def test_the_context_is_filled(far: ModuleType) -> None:
    for mode in ("local", "remote", "hybrid"):
        runner = with_runcontext(mode=mode, name=f"told-{mode}")  # type: ignore[arg-type] # a mode
        told = runner.run(far.grouped if mode == "hybrid" else far.told).outputs()[0]
        folder = Path(told["base"])
        assert folder.name == f"told-{mode}"
        assert told["group"] == ("several" if mode == "hybrid" else "")
        assert len(told["version"]) == 32
        assert all(Path(told[name]).is_relative_to(folder) for name in ("inputs", "raw"))
    assert with_runcontext(mode="remote", version="v7").run(far.told).outputs()[0]["version"] == "v7"


def test_ignored_outputs_are_none(far: ModuleType) -> None:
    for mode in ("local", "remote"):
        finished = with_runcontext(mode=mode).run(far.ignored)  # type: ignore[arg-type] # a mode
        assert tuple(finished.outputs()) == (None, None)


def test_a_run_has_its_first_action_from_the_start(far: ModuleType) -> None:
    started = _remote().run(far.double, x=1)
    assert started.action.phase in {"queued", "running", "succeeded"}
    assert started.outputs()[0] == 2


@pytest.mark.parametrize("as_module", [False, True])
def test_classes_of_the_script_travel(tmp_path: Path, *, as_module: bool) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "script.py").write_text(SCRIPT)
    (tmp_path / "pyproject.toml").write_text("[tool.tasksdk]\n")
    command = ["-m", "sub.script"] if as_module else ["sub/script.py"]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert ran.stdout == "True 3\n", ran.stderr
