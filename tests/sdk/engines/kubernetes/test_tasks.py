"""Tasks of a user's, run on a real Kubernetes in an image with the SDK."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tasksdk.errors import OutOfMemoryError, TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from tasksdk.running.runner import Runner

    from .conftest import Ward

pytestmark = pytest.mark.kube

MODULE = """
import os, time
from tasksdk import Resources, Secret, TaskEnvironment, ctx

env = TaskEnvironment("far", image="{image}", env_vars={{"COLOUR": "$red"}}, resources=Resources(memory="128Mi"))

@env.task(secrets=Secret("token", "team"))
def where(x: int) -> str:
    print("hello from", x)
    return f"{{os.environ['HOSTNAME']}} {{ctx().mode}} {{os.environ['COLOUR']}} {{len(os.environ['TEAM_TOKEN'])}}"

@env.task
def boom(x: int) -> int:
    raise ValueError(f"boom {{x}}")

@env.task(retries=1)
def second_time() -> str:
    context = ctx()
    kept = context.checkpoint.load()
    if kept is None:
        context.checkpoint.save(b"first")
        os._exit(9)
    return kept.decode()

@env.task
def patient() -> str:
    time.sleep(4)
    return os.environ["HOSTNAME"]

@env.task
def greedy() -> int:
    return len(bytearray(b"x" * 10**9))
"""


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str) -> Iterator[ModuleType]:
    monkeypatch.setenv("TASKSDK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TEAM_TOKEN", "hunter2")
    (tmp_path / "kube_far.py").write_text(MODULE.format(image=image))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("kube_far", None)
    yield importlib.import_module("kube_far")
    from tasksdk.store.database import database

    database().close()


def test_a_task_runs_in_its_image(far: ModuleType, remote: Callable[[], Runner], ward: Ward) -> None:
    started = remote().run(far.where, x=4)
    host, *rest = started.outputs()[0].split()
    assert (host != socket.gethostname(), rest) == (True, ["remote", "$red", "7"])
    assert list(started.action.logs()) == ["hello from 4"]
    assert ward.left() == []


def test_a_user_s_exception_comes_back(far: ModuleType, remote: Callable[[], Runner]) -> None:
    with pytest.raises(TaskError, match="boom 3") as failure:
        remote().run(far.boom, x=3).outputs()[0]
    assert "kube_far.py" in failure.value.traceback


def test_a_retry_is_a_job_of_its_own_and_reads_the_checkpoint(far: ModuleType, remote: Callable[[], Runner]) -> None:
    started = remote().run(far.second_time)
    assert (started.outputs()[0], started.action.attempts) == ("first", 2)


def test_memory_is_told(far: ModuleType, remote: Callable[[], Runner]) -> None:
    with pytest.raises(OutOfMemoryError):
        remote().run(far.greedy).outputs()[0]


def test_a_run_whose_client_was_killed_is_taken_up(far: ModuleType, ward: Ward, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tasksdk]\nengine = "kubernetes"\n[tool.tasksdk.engines.kubernetes]\n'
        f'namespace = "{ward.cluster.namespace}"\ngrace_seconds = 1\n'
        f'storage = [{{path = "{shared}", volume = {{hostPath = {{path = "{shared}"}}}}}}]\n'
    )
    program = (
        "import kube_far, tasksdk\n"
        f"runner = tasksdk.with_runcontext(mode='remote', name='taken-up', run_base_dir='{shared}')\n"
        "print(runner.run(kube_far.patient).outputs()[0])\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path) as first:
        deadline = time.monotonic() + 60
        while True:
            pods = ward.cluster.core.list_namespaced_pod(ward.cluster.namespace).items
            if pods and pods[0].status.phase == "Running":
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        first.kill()
    second = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert second.stdout.strip() == pods[0].metadata.name
    assert ward.left() == []
