"""Tasks that do not do as they say, and clients that are killed while they do it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tasksdk import TaskError, run, with_runcontext
from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.fixed import FixedEngine, Outcome
from tasksdk.errors import TaskOutputError, TaskTimeoutError, UserInputError
from tasksdk.literals import to_literals
from tasksdk.wire import write_map

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

MODULE = """
import os, subprocess, sys, tempfile, time
from pathlib import Path
from tasksdk import File, Secret, TaskEnvironment, ctx

env = TaskEnvironment("liar")

@env.task
def number() -> int:
    return 1

@env.task
def daemon(pidfile: str, last: str) -> str:
    script = f"echo $$ > {pidfile}.new; mv {pidfile}.new {pidfile}; exec sleep 1000"
    subprocess.Popen(["env", "-i", "setsid", "sh", "-c", script])
    while not os.path.exists(pidfile):
        os.sched_yield()
    if last == "sleep":
        time.sleep(1000)
    return last

@env.task(secrets=Secret("token", "team"))
def tells(how: str) -> None:
    value = os.environ["TEAM_TOKEN"]
    print("the token is", value)
    if how == "raise":
        raise ValueError(f"bad token {value}")

@env.task
def parent_of_tells() -> None:
    tells("raise")

@env.task
def fails_once(marker: str) -> int:
    if not os.path.exists(marker):
        Path(marker).touch()
        raise ValueError("the first time")
    return 1

@env.task
def leaves(code: int) -> None:
    sys.exit(code)

@env.task(timeout=30)
def forks(how: str) -> str:
    pid = os.fork()
    if pid == 0:
        if how == "stays":
            time.sleep(1000)
        if how == "exits":
            sys.exit(0)
        return "the child's"
    if how != "stays":
        os.waitpid(pid, 0)
    return "the parent's"

@env.task(timeout=1000)
def sleeps_bounded(pidfile: str) -> None:
    Path(pidfile).write_text(str(os.getpid()))
    time.sleep(1000)

@env.task
def gives_a_file() -> File:
    file = File.new_remote()
    with file.open_sync("wb") as opened:
        opened.write(os.fsencode(tempfile.gettempdir()))
    return file

@env.task
async def gives_a_file_later() -> File:
    return gives_a_file.forward()

@env.task(secrets=Secret("token", "team", mount=os.environ.get("LIAR_MOUNT", "/nowhere/token")))
def mounts(started: str) -> None:
    Path(started).write_text(str(os.getpid()))
    time.sleep(1000)
"""


@pytest.fixture
def liar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "liar_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("liar_module", None)
    return importlib.import_module("liar_module")


def _remote(**settings: object):  # type: ignore[no-untyped-def] # a runner
    return with_runcontext(mode="remote", **settings)  # type: ignore[arg-type] # passed on


def test_a_daemon_without_group_or_environment_ends_with_its_task(
    liar: ModuleType, tmp_path: Path, until_ended: Callable[[str], None]
) -> None:
    pidfile = tmp_path / "pid"
    assert _remote().run(liar.daemon, str(pidfile), "return").outputs() == ("return",)
    until_ended(pidfile.read_text())
    pidfile.unlink()
    with pytest.raises(TaskTimeoutError):
        _remote().run(liar.daemon.override(timeout=5), str(pidfile), "sleep").outputs()
    until_ended(pidfile.read_text())


def test_a_killed_client_leaves_no_daemon(liar: ModuleType, tmp_path: Path, until_ended: Callable[[str], None]) -> None:
    pidfile = tmp_path / "pid"
    call = f"with_runcontext(mode='remote').run(liar_module.daemon, {str(pidfile)!r}, 'sleep').wait()"
    script = f"import liar_module; from tasksdk import with_runcontext; {call}"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as client:
        while not pidfile.exists():
            os.sched_yield()
        client.kill()
    until_ended(pidfile.read_text())


def test_the_value_of_a_secret_is_in_no_log_error_or_record(
    liar: ModuleType, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "hunter2-the-third")
    told = _remote().run(liar.tells, "print")
    told.wait()
    assert list(told.action.logs()) == ["the token is ***"]
    failed = _remote().run(liar.tells, "raise")
    with pytest.raises(TaskError, match=r"bad token \*\*\*") as caught:
        failed.outputs()
    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.traceback} {failed.action.error}"
    for task, inputs in ((liar.tells, ("raise",)), (liar.parent_of_tells, ())):
        with pytest.raises(ValueError, match="bad token"):
            with_runcontext(name="told-here").run(task, *inputs)
    written = [path for path in home.rglob("*") if path.is_file() and path.name != "error.pb"]
    assert not [path for path in written if b"hunter2-the-third" in path.read_bytes()]


def test_a_run_that_failed_may_succeed_under_its_name(liar: ModuleType, tmp_path: Path) -> None:
    marker = str(tmp_path / "marker")
    with pytest.raises(TaskError, match="the first time"):
        _remote(name="again").run(liar.fails_once, marker).outputs()
    assert _remote(name="again").run(liar.fails_once, marker).outputs() == (1,)


@pytest.mark.parametrize(
    ("document", "says"),
    [(b"nothing of the kind", "cannot be read"), (b"", "left no output o0")],
)
def test_outputs_that_are_none_are_an_error(liar: ModuleType, document: bytes, says: str) -> None:
    def forge(spec) -> Outcome:  # type: ignore[no-untyped-def] # an attempt
        folder = Path(spec.argv[spec.argv.index("--output-prefix") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "outputs.pb").write_bytes(document)
        return Outcome(Exit(ExitReason.COMPLETED, 0))

    started = _remote(engine=FixedEngine(forge)).run(liar.number)
    with pytest.raises(TaskOutputError, match=says):
        started.outputs()
    assert started.phase == "failed"


def test_outputs_of_another_type_are_an_error(liar: ModuleType) -> None:
    def forge(spec) -> Outcome:  # type: ignore[no-untyped-def] # as above
        folder = Path(spec.argv[spec.argv.index("--output-prefix") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "outputs.pb").write_bytes(write_map(to_literals({"o0": "text"}, {"o0": str}, "t")))
        return Outcome(Exit(ExitReason.COMPLETED, 0))

    with pytest.raises(UserInputError, match="output o0"):
        _remote(engine=FixedEngine(forge)).run(liar.number).outputs()


def test_an_error_document_that_is_none_is_still_a_failure(liar: ModuleType) -> None:
    def forge(spec) -> Outcome:  # type: ignore[no-untyped-def] # as above
        folder = Path(spec.argv[spec.argv.index("--output-prefix") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.pb").write_bytes(b"nothing of the kind")
        return Outcome(Exit(ExitReason.ERROR, 1))

    with pytest.raises(TaskError, match="error document cannot be read"):
        _remote(engine=FixedEngine(forge)).run(liar.number).outputs()


@pytest.mark.parametrize("code", [0, 3])
def test_leaving_is_a_failure_here_too(liar: ModuleType, code: int) -> None:
    with pytest.raises(TaskError, match=rf"sys\.exit\({code}\)") as caught:
        run(liar.leaves, code)
    assert caught.value.code == "SystemExit"


@pytest.mark.parametrize("how", ["stays", "exits", "returns"])
def test_a_fork_of_a_bounded_task_has_no_say(liar: ModuleType, how: str) -> None:
    assert run(liar.forks, how).outputs() == ("the parent's",)


def test_a_killed_client_leaves_no_bounded_task(
    liar: ModuleType, tmp_path: Path, until_ended: Callable[[str], None]
) -> None:
    pidfile = tmp_path / "pid"
    script = f"import liar_module; from tasksdk import run; run(liar_module.sleeps_bounded, {str(pidfile)!r})"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as client:
        while not pidfile.exists() or not pidfile.read_text():
            os.sched_yield()
        client.kill()
    until_ended(pidfile.read_text())


@pytest.mark.parametrize("mode", ["local", "remote"])
def test_a_file_is_a_value(liar: ModuleType, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    for task in (liar.gives_a_file, liar.gives_a_file_later):
        (file,) = with_runcontext(mode=mode).run(task).outputs()  # type: ignore[arg-type] # a mode
        assert file.exists_sync()
    if mode == "remote":
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("mode", ["local", "remote"])
def test_a_killed_client_leaves_no_secret_on_the_disk(
    liar: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    mount, started = tmp_path / "mounted" / "token", tmp_path / "started"
    monkeypatch.setenv("LIAR_MOUNT", str(mount))
    monkeypatch.setenv("TEAM_TOKEN", "hunter2-the-fourth")
    call = f"with_runcontext(mode={mode!r}).run(liar_module.mounts, {str(started)!r}).wait()"
    script = f"import liar_module; from tasksdk import with_runcontext; {call}"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as client:
        while not started.exists():
            os.sched_yield()
        assert mount.read_text() == "hunter2-the-fourth"
        client.kill()
    while mount.exists():
        os.sched_yield()


def test_a_run_of_a_name_runs_once_at_a_time(liar: ModuleType, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    first = _remote(name="one").run(liar.sleeps_bounded, str(pidfile))
    for mode in ("local", "remote"):
        with pytest.raises(UserInputError, match="'one' is running already"):
            with_runcontext(mode=mode, name="one").run(liar.number)  # type: ignore[arg-type] # a mode
    first.abort("enough")
    first.wait()
    assert with_runcontext(name="one").run(liar.number).outputs() == (1,)
