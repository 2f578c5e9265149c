"""What a task on an engine calls: actions of the run, with everything that is theirs."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tasksdk import with_runcontext
from tasksdk.errors import TaskAbortedError, TaskError, TaskTimeoutError
from tasksdk.store.database import database

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tasksdk import Run
    from tasksdk.running.runner import Runner

MODULE = """
import asyncio, os, time
from pathlib import Path
from tasksdk import Cache, IgnoreOutputs, ReusePolicy, Secret, TaskEnvironment, ctx
from tasksdk import custom_context, get_custom_context, group, trace

env = TaskEnvironment("kin")
red = TaskEnvironment("red", env_vars={"COLOUR": "red"}, secrets=Secret("token", "team"))
live = TaskEnvironment("live", reusable=ReusePolicy(1, 60))

@red.task
def seen(x: int) -> str:
    print("seen", x)
    return f"{x} {os.getpid()} {os.environ['COLOUR']} {len(os.environ['TEAM_TOKEN'])}"

@env.task
async def family(n: int) -> list[str]:
    with group("children"):
        found = await asyncio.gather(*[seen.aio(x) for x in range(n)])
    return [f"0 {os.getpid()} {os.environ.get('COLOUR')} 7", *found]

@env.task
def factorial(n: int) -> int:
    return n * factorial(n - 1) if n > 1 else 1

@red.task
def double(x: int) -> int:
    return 2 * x

@env.task
def overrides(x: int) -> list[str]:
    return [seen(x), seen.override(env_vars={"COLOUR": "blue"})(x)]

@env.task(retries=1)
def second_time(x: int) -> int:
    if ctx().attempt_number == 1:
        raise RuntimeError("first")
    return x

@env.task(cache="auto")
def kept(folder: str) -> int:
    with Path(folder, "calls").open("a") as file:
        file.write("x")
    return 1

@env.task
def settings(folder: str) -> list[int]:
    return [second_time(5), kept(folder), kept(folder)]

@env.task
def boom(x: int) -> int:
    raise ValueError(f"boom {x}")

@env.task(timeout=1)
def slow() -> None:
    time.sleep(1000)

@env.task
def dies() -> None:
    os._exit(3)

@env.task
def ignored() -> int:
    raise IgnoreOutputs

@env.task
def catches() -> list[str]:
    said = []
    for task, args in ((boom, (3,)), (slow, ()), (dies, ()), (boom, ("x",))):
        try:
            task(*args)
        except (ValueError, TimeoutError) as error:
            said.append(f"{type(error).__name__} {error}")
        except Exception as error:
            said.append(f"{type(error).__name__} {error}")
    return [*said, str(ignored())]

@env.task
def fails() -> int:
    return boom(7)

@env.task
def marks(folder: str) -> None:
    Path(folder, "started").write_text(str(os.getpid()))
    time.sleep(1000)

@env.task
def waits(folder: str) -> None:
    marks(folder)

@env.task(timeout=5)
def late(folder: str) -> None:
    marks(folder)

@env.task
async def leaves(folder: str) -> int:
    left = asyncio.ensure_future(marks.aio(folder))
    while not Path(folder, "started").exists():
        await asyncio.sleep(0.01)
    return 1

@env.task
async def gives_up(folder: str) -> str:
    waiting = asyncio.ensure_future(marks.aio(folder))
    while not Path(folder, "started").exists():
        await asyncio.sleep(0.01)
    waiting.cancel()
    pid = Path(folder, "started").read_text()
    while Path("/proc", pid).exists():
        await asyncio.sleep(0.01)
    return str(double(4))

@env.task
def kills_itself(folder: str) -> None:
    import threading
    from contextvars import copy_context
    threading.Thread(target=copy_context().run, args=(marks, folder), daemon=True).start()
    while not Path(folder, "started").exists():
        time.sleep(0.01)
    os._exit(5)

@trace
def step(x: int) -> int:
    return double(x) + 1

@trace
def bad_step() -> None:
    raise KeyError("nothing")

@env.task
def steps() -> int:
    try:
        bad_step()
    except KeyError:
        return step(20)

@live.task
def link(n: int) -> int:
    return 1 + link(n - 1) if n else 0

@env.task
def hears() -> dict[str, str]:
    return get_custom_context()

@env.task
def says() -> list[dict[str, str]]:
    with custom_context(inner="2"):
        heard = hears()
    return [heard, hears()]

@env.task
def forks() -> str:
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            double(1)
        except Exception as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    return os.read(reading, 10000).decode()

@env.task
def alone(folder: str) -> str:
    import sys
    sys.path.insert(0, folder)
    import kin_alone
    return kin_alone.hidden(1)

@env.task
def once(folder: str, x: int) -> int:
    with Path(folder, f"once-{x}").open("a") as file:
        file.write("x")
    return x

@env.task
def half_done(folder: str) -> int:
    first = once(folder, 1)
    if not Path(folder, "go").exists():
        Path(folder, "half").write_text(str(os.getpid()))
        time.sleep(1000)
    return first + once(folder, 2)
"""
ALONE = """
import os
from tasksdk import TaskEnvironment
env = TaskEnvironment("hidden", image="some/image", env_vars={{"PYTHONPATH": "{paths}", "COLOUR": "green"}})

@env.task
def hidden(x: int) -> str:
    return f"{{x}} {{os.environ['COLOUR']}}"
"""


@pytest.fixture
def kin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "kin_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TEAM_TOKEN", "hunter2")
    sys.modules.pop("kin_module", None)
    return importlib.import_module("kin_module")


def _remote(**settings: Any) -> Runner:
    return with_runcontext(mode="remote", **settings)


def _tree(run: Run) -> list[tuple[str, str | None]]:
    """The tasks of a run and which task called them."""
    names = {action.name: action.task_name for action in run.actions}
    return sorted((action.task_name, names.get(action.parent or "")) for action in run.actions)


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _gone(pid: str) -> bool:
    return not Path("/proc", pid).exists()


def test_each_call_is_an_action_with_its_own_settings(kin: ModuleType) -> None:
    finished = _remote().run(kin.family, 2)
    rows = [line.split() for line in finished.outputs()[0]]
    assert [row[0] for row in rows] == ["0", "0", "1"]
    assert len({row[1] for row in rows}) == 3
    assert [row[2:] for row in rows] == [["None", "7"], ["red", "7"], ["red", "7"]]
    assert _tree(finished) == [("kin.family", None), ("red.seen", "kin.family"), ("red.seen", "kin.family")]
    assert [action.group for action in finished.actions] == [None, "children", "children"]
    assert {action.phase for action in finished.actions} == {"succeeded"}
    assert sorted(line for action in finished.actions for line in action.logs()) == ["seen 0", "seen 1"]


def test_calls_go_to_any_depth(kin: ModuleType) -> None:
    finished = _remote().run(kin.factorial, 4)
    assert finished.outputs()[0] == 24
    names = [action.name for action in finished.actions]
    assert [action.parent for action in finished.actions] == [None, *names[:-1]]


def test_an_override_of_a_call_reaches_it_and_the_rest_is_its_module_s(kin: ModuleType) -> None:
    colours = [line.split()[2:] for line in _remote().run(kin.overrides, 1).outputs()[0]]
    assert colours == [["red", "7"], ["blue", "7"]]


def test_retries_and_kept_results_are_the_calls_own(kin: ModuleType, tmp_path: Path) -> None:
    finished = _remote().run(kin.settings, str(tmp_path))
    assert finished.outputs()[0] == [5, 1, 1]
    assert [(one.task_name, one.attempts, one.cached) for one in finished.actions] == [
        ("kin.settings", 1, False),
        ("kin.second_time", 2, False),
        ("kin.kept", 1, False),
        ("kin.kept", 0, True),
    ]
    with_runcontext(mode="local").run(kin.kept, str(tmp_path))
    assert (tmp_path / "calls").read_text() == "x"


def test_a_failure_can_be_caught_as_what_it_was(kin: ModuleType) -> None:
    finished = _remote().run(kin.catches)
    value, timeout, died, wrong, ignored = finished.outputs()[0]
    assert value.startswith("TaskError task kin.boom failed: ValueError: boom 3\nTraceback")
    assert "kin_module.py" in value
    assert (timeout, ignored) == ("TaskTimeoutError task kin.slow: it ran longer than 1 s", "None")
    assert "exit code 3" in died
    assert wrong.startswith("ConversionError kin.boom: input x")
    assert [(one.task_name, one.phase) for one in finished.actions] == [
        ("kin.catches", "succeeded"),
        ("kin.boom", "failed"),
        ("kin.slow", "timed_out"),
        ("kin.dies", "failed"),
        ("kin.ignored", "succeeded"),
    ]


def test_a_failure_that_nobody_catches_is_told_once(kin: ModuleType) -> None:
    finished = _remote().run(kin.fails)
    with pytest.raises(ValueError, match="boom 7") as caught:
        finished.outputs()
    assert isinstance(caught.value, TaskError)
    assert caught.value.traceback.count('raise ValueError(f"boom {x}")') == 1
    assert caught.value.traceback.count("return boom(7)") == 1
    assert "/tasksdk/" not in caught.value.traceback
    assert [action.phase for action in finished.actions] == ["failed", "failed"]


def test_an_abort_of_the_parent_aborts_what_it_called(kin: ModuleType, tmp_path: Path) -> None:
    started = _remote().run(kin.waits, str(tmp_path))
    _until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text() != "")
    started.abort("enough")
    with pytest.raises(TaskAbortedError, match="enough"):
        started.outputs()
    assert _gone((tmp_path / "started").read_text())
    assert [action.phase for action in started.actions] == ["aborted", "aborted"]


@pytest.mark.parametrize(
    ("task", "phase", "error"),
    [("late", "timed_out", TaskTimeoutError), ("kills_itself", "failed", TaskError), ("leaves", "succeeded", None)],
)
def test_what_a_parent_leaves_running_ends_with_it(
    kin: ModuleType, tmp_path: Path, task: str, phase: str, error: type[TaskError] | None
) -> None:
    finished = _remote().run(getattr(kin, task), str(tmp_path))
    finished.wait()
    assert [action.phase for action in finished.actions] == [phase, "aborted"]
    assert _gone((tmp_path / "started").read_text())
    assert f"task kin.marks was aborted: its parent kin.{task} " in str(finished.actions[1].error)
    assert "Traceback" not in str(finished.actions[1].error)
    if error is not None:
        with pytest.raises(error):
            finished.outputs()


def test_a_call_that_is_cancelled_is_aborted(kin: ModuleType, tmp_path: Path) -> None:
    finished = _remote().run(kin.gives_up, str(tmp_path))
    assert finished.outputs()[0] == "8"
    assert [action.phase for action in finished.actions] == ["succeeded", "aborted", "succeeded"]


def test_traced_steps_are_recorded_and_call_tasks(kin: ModuleType) -> None:
    finished = _remote().run(kin.steps)
    assert finished.outputs()[0] == 41
    assert _tree(finished) == [
        ("kin.steps", None),
        ("kin_module.bad_step", "kin.steps"),
        ("kin_module.step", "kin.steps"),
        ("red.double", "kin_module.step"),
    ]
    failed = next(action for action in finished.actions if action.phase == "failed")
    assert (failed.task_name, "KeyError: 'nothing'" in str(failed.error)) == ("kin_module.bad_step", True)


def test_a_parent_that_waits_holds_no_worker_back(kin: ModuleType) -> None:
    finished = _remote().run(kin.link, 3)
    assert finished.outputs()[0] == 3
    assert len(finished.actions) == 4


def test_the_caller_s_context_goes_on(kin: ModuleType) -> None:
    heard = _remote(custom_context={"outer": "1"}).run(kin.says).outputs()[0]
    assert heard == [{"outer": "1", "inner": "2"}, {"outer": "1"}]


def test_a_forked_process_is_told_that_it_cannot_call(kin: ModuleType) -> None:
    assert "forked cannot call tasks" in _remote().run(kin.forks).outputs()[0]


def test_a_module_that_the_client_has_not(kin: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "image"
    folder.mkdir()
    paths = os.pathsep.join([str(folder), *(path for path in sys.path if "site-packages" not in path)])
    (folder / "kin_alone.py").write_text(ALONE.format(paths=paths))
    finished = _remote().run(kin.alone, str(folder))
    assert finished.outputs()[0] == "1 green"
    assert _tree(finished) == [("hidden.hidden", "kin.alone"), ("kin.alone", None)]


def test_a_run_taken_up_again_has_what_its_calls_did(kin: ModuleType, tmp_path: Path) -> None:
    call = f"with_runcontext('remote', 'again').run(kin_module.half_done, {str(tmp_path)!r})"
    script = f"import kin_module; from tasksdk import with_runcontext; print({call}.outputs()[0])"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as client:
        _until(lambda: (tmp_path / "half").exists() and (tmp_path / "half").read_text() != "")
        client.kill()
    pid = (tmp_path / "half").read_text()
    _until(lambda: _gone(pid))
    (tmp_path / "go").touch()
    second = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert second.stdout == "3\n"
    assert [(tmp_path / f"once-{x}").read_text() for x in (1, 2)] == ["x", "x"]
    assert [row.phase for row in database().actions("again")] == ["succeeded"] * 3


def test_a_killed_client_leaves_nothing_of_what_was_called(kin: ModuleType, tmp_path: Path) -> None:
    call = f"with_runcontext(mode='remote').run(kin_module.waits, {str(tmp_path)!r}).wait()"
    script = f"import kin_module; from tasksdk import with_runcontext; {call}"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as client:
        _until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text() != "")
        client.kill()
    _until(lambda: _gone((tmp_path / "started").read_text()))


def test_a_call_that_is_killed_is_told_to_its_caller(kin: ModuleType, tmp_path: Path) -> None:
    started = _remote().run(kin.waits, str(tmp_path))
    _until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text() != "")
    os.kill(int((tmp_path / "started").read_text()), signal.SIGKILL)
    with pytest.raises(TaskError, match="SIGKILL"):
        started.outputs()
    assert [action.phase for action in started.actions] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("patience", "said"), [("1", "has not answered for 1 s"), ("long", "'long' is no number of seconds")]
)
def test_a_client_that_is_gone_for_long_ends_the_wait(
    kin: ModuleType, tmp_path: Path, patience: str, said: str
) -> None:
    """The executor alone, as a cluster runs it on when the client is killed."""
    outputs = tmp_path / "run" / "a0" / "1"
    (tmp_path / "in.pb").write_bytes(b"")
    told = {"TASKSDK_CALLS": str(outputs), "TASKSDK_CALL_PATIENCE": patience, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "tasksdk.executor", "--inputs", str(tmp_path / "in.pb"), "--output-prefix"]
    names = ["--resolver", "tasksdk.task.resolver.default_task_resolver", "--", "task-module", "kin_module"]
    ran = subprocess.run(
        [*command, str(outputs), *names, "task-name", "fails"],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ran.returncode == 1
    assert said in ran.stderr
    assert (outputs / "calls" / "posted.json").exists() == (patience == "1")


def test_all_modes_give_the_same(kin: ModuleType) -> None:
    async def both() -> None:
        for mode in ("local", "remote", "hybrid"):
            run = await with_runcontext(mode=mode).run.aio(kin.factorial, 3)  # type: ignore[arg-type] # a mode
            outputs = await run.outputs()
            assert outputs[0] == 6
            assert len(run.actions) == 3

    asyncio.run(both())
