"""Tasks in live workers: what a call leaves for the next, what it does not, and when a worker ends."""

from __future__ import annotations

import importlib
import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tasksdk import ContainerTask, ReusePolicy, Task, deploy, with_runcontext
from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.fixed import FixedEngine, Outcome
from tasksdk.errors import TaskError, TaskTimeoutError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

MODULE = """
import asyncio, contextvars, os, signal, sys, time
from pathlib import Path
from tasksdk import ReusePolicy, Secret, TaskEnvironment, ctx

env = TaskEnvironment("live", env_vars={"COLOUR": "red"}, reusable=ReusePolicy(idle_ttl=60))
two = TaskEnvironment("two", reusable=ReusePolicy(replicas=2, idle_ttl=60))
shared = contextvars.ContextVar("shared", default="nothing")
calls, loops, left = [], [], []

@env.task
def call(x: int) -> str:
    calls.append(x)
    print("call", x)
    return f"{os.getpid()} {calls}"

@env.task
def other() -> str:
    return f"{os.getpid()} {calls}"

@env.task
def leaves() -> str:
    os.environ["LEFT"] = os.environ["COLOUR"] = "blue"
    os.chdir("/")
    shared.set("something")
    print("no end", end="")
    return str(os.getpid())

@env.task
def finds() -> str:
    left_over = f"{os.environ.get('LEFT')} {os.environ['COLOUR']} {shared.get()} {os.getcwd() == '/'}"
    action = ctx().action
    return f"{os.getpid()} {left_over} {action.run_name} {action.attempt} {os.path.basename(ctx().output_path)}"

@env.task
async def looped() -> str:
    loops.append(asyncio.get_running_loop())
    left.append(asyncio.ensure_future(asyncio.sleep(1000)))
    return f"{os.getpid()} {len(set(map(id, loops)))} {[task.cancelled() for task in left[:-1]]}"

@env.task
def ends(how: str) -> None:
    print("before", flush=True)
    if how == "exit":
        os._exit(3)
    if how == "raise":
        raise ValueError("boom")
    if how == "sys.exit":
        sys.exit(3)
    if how == "parent":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)
    os.kill(os.getpid(), getattr(signal, how))

@env.task
def damages(what: str) -> str:
    if what == "files":
        os.closerange(3, 256)
        Path("/dev/null").open()
    if what == "output":
        sys.stdout.close()
        os.close(1)
    if what == "names":
        sys.stdout = sys.stderr = None
    if what == "loop":
        asyncio.run(asyncio.sleep(0))
    return str(os.getpid())

@env.task(retries=1)
def second_time() -> str:
    kept = ctx().checkpoint.load()
    if kept is None:
        ctx().checkpoint.save(str(os.getpid()).encode())
        os._exit(1)
    return f"{kept.decode()} {os.getpid()}"

@env.task
def copies() -> int:
    if os.fork() == 0:
        return 0
    os.wait()
    return os.getpid()

@env.task(timeout=1)
def slow(folder: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(folder, "slow").write_text(str(os.getpid()))
    time.sleep(1000)

@env.task
def waits(folder: str) -> None:
    Path(folder, "started").write_text(str(os.getpid()))
    while not Path(folder, "go").exists():
        time.sleep(0.005)

@two.task
def meets(folder: str, me: str, whom: str) -> int:
    Path(folder, me).touch()
    while not Path(folder, whom).exists():
        time.sleep(0.005)
    return os.getpid()

here = Path(__file__).parent

@env.task(secrets=[Secret("token", "team", as_env_var="SEEN"), Secret("file", "team", mount=here / "mounted")])
def secret() -> str:
    started_with = b"SEEN" in Path("/proc/self/environ").read_bytes()
    return f"{os.environ['SEEN']} {started_with} {(here / 'mounted').read_text()} {os.getpid()}"

@env.task
def no_secret() -> str:
    return str(os.environ.get("SEEN"))
"""


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "live_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("live_module", None)
    return importlib.import_module("live_module")


def _run(task: Any, *args: Any, **options: Any) -> Any:
    return with_runcontext(mode="remote", **options).run(task, *args).outputs()[0]


def _pid(answer: str) -> int:
    return int(answer.split(maxsplit=1)[0])


def _wait_for(path: Path) -> str:
    while not path.exists() or not path.read_text():
        os.sched_yield()
    return path.read_text()


def _gone(pid: int, within: float = 30) -> bool:
    """Whether a process has ended, waiting for it so many seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within)[0])
    finally:
        os.close(handle)


def test_a_second_call_finds_the_worker_and_its_modules(live: ModuleType) -> None:
    first = with_runcontext(mode="remote").run(live.call, 1)
    pid = _pid(first.outputs()[0])
    second = with_runcontext(mode="remote").run(live.call, 2)
    assert pid != os.getpid()
    assert [first.outputs()[0], second.outputs()[0]] == [f"{pid} [1]", f"{pid} [1, 2]"]
    assert [list(run.action.logs()) for run in (first, second)] == [["call 1"], ["call 2"]]
    assert _run(live.other) == f"{pid} [1, 2]"


def test_a_call_is_as_if_it_were_the_first(live: ModuleType) -> None:
    pid = _run(live.leaves)
    assert _run(live.finds, name="finder") == f"{pid} None red nothing False finder 1 1"


def test_asynchronous_tasks_share_an_event_loop_and_leave_nothing_on_it(live: ModuleType) -> None:
    pid = _pid(_run(live.looped))
    assert _run(live.looped) == f"{pid} 1 [True]"


@pytest.mark.parametrize(
    ("how", "code", "says", "survives"),
    [
        ("exit", "ProcessExited", "exit code 3", False),
        ("SIGSEGV", "Signaled", "SIGSEGV", False),
        ("SIGKILL", "Signaled", "SIGKILL", False),
        ("parent", "signaled", "SIGKILL", False),
        ("raise", "ValueError", "boom", True),
        ("sys.exit", "SystemExit", "sys.exit", True),
    ],
)
def test_a_call_that_ends_badly_does_not_harm_the_next(
    live: ModuleType, how: str, code: str, says: str, survives: bool
) -> None:
    before = _pid(_run(live.call, 1))
    ended = with_runcontext(mode="remote").run(live.ends, how)
    with pytest.raises(TaskError, match=says) as caught:
        ended.outputs()
    assert caught.value.code == code
    # Output passes through the parent: what that had not passed on goes with it.
    assert how == "parent" or next(iter(ended.action.logs())) == "before"
    after = _run(live.call, 2)
    assert after == (f"{before} [1, 2]" if survives else f"{_pid(after)} [2]")
    assert survives or _gone(before)


@pytest.mark.parametrize(("what", "survives"), [("files", False), ("output", False), ("names", True), ("loop", True)])
def test_what_a_call_does_to_its_process_is_not_the_next_ones(live: ModuleType, what: str, survives: bool) -> None:
    pid = _run(live.damages, what)
    after = with_runcontext(mode="remote").run(live.call, 1)
    assert (_pid(after.outputs()[0]) == int(pid)) == survives
    assert list(after.action.logs()) == ["call 1"]
    assert _run(live.looped).split()[0] == after.outputs()[0].split()[0]


def test_a_retry_gets_another_worker(live: ModuleType) -> None:
    first, second = _run(live.second_time).split()
    assert first != second
    assert _run(live.second_time.override(retries=1)).split()[0] == second


def test_a_copy_of_the_worker_answers_nobody(live: ModuleType) -> None:
    pid = _run(live.copies)
    assert _run(live.call, 1) == f"{pid} [1]"


def test_a_worker_is_gone_after_its_time(live: ModuleType) -> None:
    brief = live.call.override(reusable=ReusePolicy(replicas=(2, 3), idle_ttl=0.2))
    pid = _pid(_run(brief, 1))
    assert _gone(pid)
    assert _pid(_run(brief, 1)) != pid


def test_a_timeout_ends_the_worker(live: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(TaskTimeoutError, match="longer than 1 s"):
        _run(live.slow, str(tmp_path))
    assert _gone(int((tmp_path / "slow").read_text()), within=0)
    assert _run(live.call, 1).endswith("[1]")


def test_an_abort_ends_the_worker(live: ModuleType, tmp_path: Path) -> None:
    started = with_runcontext(mode="remote").run(live.waits, str(tmp_path))
    pid = _wait_for(tmp_path / "started")
    started.abort("enough")
    started.wait()
    assert started.phase == "aborted"
    assert _gone(int(pid), within=0)
    assert _run(live.call, 1).endswith("[1]")


def test_as_many_calls_run_at_once_as_there_may_be_workers(live: ModuleType, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        pair = [threads.submit(_run, live.meets, str(tmp_path), *names) for names in (("a", "b"), ("b", "a"))]
        pids = {found.result() for found in pair}
    assert len(pids) == 2
    assert _run(live.meets, str(tmp_path), "a", "b") in pids


def test_a_call_waits_for_a_worker_and_no_longer_than_it_may(live: ModuleType, tmp_path: Path) -> None:
    busy = with_runcontext(mode="remote").run(live.waits, str(tmp_path))
    pid = _wait_for(tmp_path / "started")
    from tasksdk import Timeout

    with pytest.raises(TaskTimeoutError, match=r"waited longer than 0\.1 s"):
        _run(live.call.override(timeout=Timeout(0, 0.1)), 1)
    patient = with_runcontext(mode="remote").run(live.call, 2)
    assert patient.action.phase in {"queued", "running"}
    (tmp_path / "go").touch()
    busy.outputs()
    assert patient.outputs()[0] == f"{pid} [2]"


def test_a_deployed_task_has_live_workers(live: ModuleType) -> None:
    deploy(live.env)
    deployed = Task.get("live.call")
    assert deployed.reusable.bounds == (1, 1)
    pid = _pid(_run(deployed, 1))
    assert _run(deployed, 2) == f"{pid} [1, 2]"


def test_off_is_a_fresh_process(live: ModuleType) -> None:
    off = live.call.override(reusable="off")
    answers = [_run(off, 1), _run(off, 2)]
    assert [answer.split(" ", 1)[1] for answer in answers] == ["[1]", "[2]"]
    assert len({_pid(answer) for answer in answers}) == 2


def test_tasks_that_are_given_other_things_share_no_worker(live: ModuleType) -> None:
    pid = _pid(_run(live.call, 1))
    assert _pid(_run(live.call.override(env_vars={"COLOUR": "blue"}), 1)) != pid
    assert _pid(_run(live.call.override(timeout=50, retries=3), 1)) == pid


def test_secrets_are_there_while_a_call_runs(
    live: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "hunter2")
    monkeypatch.setenv("TEAM_FILE", "hunter3")
    found = set()
    for _ in range(2):
        answer = _run(live.secret)
        assert answer.startswith("hunter2 False hunter3 ")
        assert not (tmp_path / "mounted").exists()
        found.add(answer)
    assert len(found) == 1
    assert _run(live.no_secret) == "None"
    monkeypatch.setenv("TEAM_TOKEN", "hunter4")
    assert _run(live.secret).split()[-1] not in str(found)


def test_changed_code_gets_a_new_worker(live: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 1\n")
    (tmp_path / "edited.py").write_text(
        "import os\nfrom beside import VALUE\nfrom tasksdk import ReusePolicy, TaskEnvironment\n"
        "env = TaskEnvironment('edited', reusable=ReusePolicy(idle_ttl=60))\n\n"
        "@env.task\ndef value() -> str:\n    return f'{os.getpid()} {VALUE}'\n"
    )
    edited = importlib.import_module("edited")
    first, again = _run(edited.value), _run(edited.value)
    assert first == again
    (tmp_path / "beside.py").write_text("VALUE = 22\n")
    assert _run(edited.value).split()[1] == "22"
    assert _gone(_pid(first))


@pytest.mark.parametrize("busy", [True, False])
@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_no_worker_outlives_its_client(
    live: ModuleType, tmp_path: Path, busy: bool, end: signal.Signals | None
) -> None:
    (tmp_path / "client.py").write_text(
        "import sys, live_module as live\n"
        "from tasksdk import ReusePolicy, with_runcontext\n"
        "many = live.call.override(reusable=ReusePolicy(2, 60))\n"
        "runner = with_runcontext(mode='remote')\n"
        "print(runner.run(many, 1).outputs()[0].split()[0], flush=True)\n"
        f"runner.run(live.waits, {str(tmp_path)!r}) if {busy} else None\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "client.py"], cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        pids = [int(client.stdout.readline())]
        if busy:
            pids.append(int(_wait_for(tmp_path / "started")))
        if end is None:
            client.stdin.close()
        else:
            client.send_signal(end)
        client.wait(60)
    assert all(_gone(pid) for pid in pids)


def test_what_cannot_be_reused_is_said_once(live: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    engine = FixedEngine(lambda _spec: Outcome(Exit(ExitReason.ERROR, 1)), runs_images=True)
    task = ContainerTask("own-command", "image:1", ["true"], reusable=ReusePolicy())
    for _ in range(2):
        with_runcontext(mode="remote", engine=engine).run(task).wait()
    assert capsys.readouterr().err.count("task own-command is a command of its own") == 1
    plain = FixedEngine(lambda _spec: Outcome(Exit(ExitReason.ERROR, 1)))
    for _ in range(2):
        with_runcontext(mode="remote", engine=plain).run(live.call, 1).wait()
    assert capsys.readouterr().err.count("engine fixed keeps no live workers") == 1
