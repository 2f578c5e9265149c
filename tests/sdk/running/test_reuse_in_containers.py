"""Live workers as containers of an image that this project builds."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tasksdk import Resources, ReusePolicy, with_runcontext
from tasksdk.errors import OutOfMemoryError, TaskError, TaskTimeoutError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

pytestmark = pytest.mark.e2e
MODULE = """
import os, time
from pathlib import Path
from tasksdk import Image, ReusePolicy, Secret, TaskEnvironment, ctx

registry = os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "localhost:5000")
image = Image.from_debian_base(name="REPOSITORY", registry=registry)
secrets = [Secret("token", "team"), Secret("file", "team", mount="/run/own/token")]
env = TaskEnvironment("inside", image=image, secrets=secrets, reusable=ReusePolicy(idle_ttl=60))
calls = []

@env.task
def call(x: int) -> str:
    calls.append(x)
    print("call", x)
    known = os.environ["TEAM_TOKEN"] == "hunter2" and Path("/run/own/token").read_text() == "hunter3"
    return f"{os.uname().nodename} {os.getpid()} {known} {calls} {ctx().action.run_name}"

@env.task
def ends(how: str) -> int:
    if how == "memory":
        return len(bytearray(512 << 20))
    os._exit(3)

@env.task
def waits(folder: str) -> None:
    Path(folder, "started").write_text(os.uname().nodename)
    time.sleep(1000)
"""


@pytest.fixture
def inside(repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "worker_module.py").write_text(MODULE.replace("REPOSITORY", repository))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEAM_TOKEN", "hunter2")
    monkeypatch.setenv("TEAM_FILE", "hunter3")
    sys.modules.pop("worker_module", None)
    return importlib.import_module("worker_module")


def _run(task: Any, *args: Any, **options: Any) -> Any:
    return with_runcontext(mode="remote", engine="docker", **options).run(task, *args).outputs()[0]


def _containers(host: str) -> str:
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"id={host}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _gone(host: str) -> bool:
    """Whether a container is removed, waiting for it."""
    while _containers(host):
        os.sched_yield()
    return True


def test_a_container_lives_on(inside: ModuleType, home: Path, tmp_path: Path) -> None:
    first, second = _run(inside.call, 1, name="one"), _run(inside.call, 2, name="two")
    host, pid = first.split()[:2]
    assert [first, second] == [f"{host} {pid} True [1] one", f"{host} {pid} True [1, 2] two"]
    shown = subprocess.run(["docker", "inspect", host], capture_output=True, text=True, check=True).stdout
    assert "hunter" not in shown
    assert {path.stat().st_uid for path in home.rglob("*")} == {os.getuid()}
    with pytest.raises(TaskError, match="exit code 3"):
        _run(inside.ends, "exit")
    assert not _containers(host)
    brief = inside.call.override(reusable=ReusePolicy(idle_ttl=0.2))
    third = _run(brief, 3)
    assert third.split(" ", 2)[2].startswith("True [3]")
    assert _gone(third.split()[0])
    small = Resources(memory="128Mi")
    with pytest.raises(OutOfMemoryError):
        _run(inside.ends.override(resources=small), "memory")
    assert _run(inside.call.override(resources=small), 4).split(" ", 2)[2].startswith("True [4]")


def test_what_ends_a_call_from_outside_ends_its_container(inside: ModuleType, home: Path) -> None:
    shared = str(home / "runs")
    with pytest.raises(TaskTimeoutError, match="longer than 2 s"):
        _run(inside.waits.override(timeout=2), shared)
    assert not _containers((home / "runs" / "started").read_text())
    (home / "runs" / "started").unlink()
    started = with_runcontext(mode="remote", engine="docker").run(inside.waits, shared)
    host = _wait_for(home / "runs" / "started")
    started.abort("enough")
    started.wait()
    assert not _containers(host)


@pytest.mark.parametrize("busy", [True, False])
def test_no_container_outlives_a_killed_client(inside: ModuleType, tmp_path: Path, home: Path, busy: bool) -> None:
    (tmp_path / "client.py").write_text(
        "import sys, worker_module as inside\n"
        "from tasksdk import with_runcontext\n"
        "runner = with_runcontext(mode='remote', engine='docker')\n"
        "print(runner.run(inside.call, 1).outputs()[0].split()[0], flush=True)\n"
        f"runner.run(inside.waits, {str(home / 'runs')!r}) if {busy} else None\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "client.py"], cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdout is not None
        host = client.stdout.readline().strip()
        if busy:
            assert _wait_for(home / "runs" / "started") == host
        assert _containers(host)
        client.kill()
    assert _gone(host)


def _wait_for(path: Path) -> str:
    while not path.exists() or not path.read_text():
        os.sched_yield()
    return path.read_text()
