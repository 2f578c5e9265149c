"""What a task in a pod calls: Jobs of their own on a real Kubernetes, in their own images."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from tasksdk.errors import TaskAbortedError

from imagebuilder import Image
from imagebuilder.api import build

from .conftest import BASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from tasksdk.running.runner import Runner

    from .conftest import Ward

pytestmark = pytest.mark.kube

MODULE = """
import asyncio, os, time
from tasksdk import Resources, Secret, TaskEnvironment, group

upper = TaskEnvironment("upper", image="{upper}", env_vars={{"COLOUR": "red"}}, resources=Resources(memory="128Mi"))
lower = TaskEnvironment(
    "lower",
    image="{lower}",
    env_vars={{"COLOUR": "blue"}},
    secrets=Secret("token", "team"),
    resources=Resources(memory="96Mi"),
)

@lower.task
def inner(x: int) -> str:
    given = f"{{os.environ['COLOUR']}} {{len(os.environ['TEAM_TOKEN'])}}"
    return f"{{x}} {{os.environ['ONLY']}} {{given}} {{os.uname().nodename}}"

@lower.task(retries=1)
def boom(x: int) -> int:
    raise ValueError(f"boom {{x}}")

@upper.task
async def outer(x: int) -> list[str]:
    with group("pair"):
        found = await asyncio.gather(inner.aio(x), inner.aio(x + 1))
    try:
        boom(3)
    except ValueError as error:
        found.append(str(error).splitlines()[0])
    return [f"{{os.environ.get('ONLY')}} {{os.environ['COLOUR']}} {{os.uname().nodename}}", *found]

@lower.task
def patient() -> str:
    time.sleep(8)
    return os.uname().nodename

@upper.task
def waits() -> str:
    return f"{{os.uname().nodename}} {{patient()}}"

@lower.task
def endless() -> None:
    time.sleep(1000)

@upper.task
def waits_for_ever() -> None:
    endless()
"""


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """Two images, where nothing is yet: another state of a checkout may have pushed an SDK of the same version."""
    made = Image.from_base(BASE, name=f"kube/{uuid.uuid4().hex[:12]}").with_sdk(python_version="3.11")
    upper = made.with_user("somebody")
    found = build(upper, upper.with_env_vars({"ONLY": "below"}), registry=BASE.split("/", maxsplit=1)[0])
    return {name: f"{one.uri}@{one.digest}" for name, one in zip(("upper", "lower"), found, strict=True)}


@pytest.fixture
def kin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: dict[str, str]) -> Iterator[ModuleType]:
    monkeypatch.setenv("TASKSDK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TEAM_TOKEN", "hunter2")
    (tmp_path / "kube_kin.py").write_text(MODULE.format(**images))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("kube_kin", None)
    yield importlib.import_module("kube_kin")
    from tasksdk.store.database import database

    database().close()


def _pods(ward: Ward) -> set[str]:
    """The pods that run now."""
    pods = ward.cluster.core.list_namespaced_pod(ward.cluster.namespace).items
    return {pod.metadata.name for pod in pods if pod.status.phase == "Running"}


def _until_two_run(ward: Ward) -> set[str]:
    deadline = time.monotonic() + 300
    while len(pods := _pods(ward)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return pods


def test_each_call_is_a_job_of_its_own(kin: ModuleType, remote: Callable[[], Runner], ward: Ward) -> None:
    finished = remote().run(kin.outer, 4)
    outer, first, second, caught = finished.outputs()[0]
    assert outer.split()[:2] == ["None", "red"]
    assert [line.split()[:4] for line in (first, second)] == [["4", "below", "blue", "7"], ["5", "below", "blue", "7"]]
    assert len({line.split()[-1] for line in (outer, first, second)}) == 3
    assert caught == "task lower.boom failed: ValueError: boom 3"
    assert [(one.task_name, one.phase, one.attempts, one.group) for one in finished.actions] == [
        ("upper.outer", "succeeded", 1, None),
        ("lower.inner", "succeeded", 1, "pair"),
        ("lower.inner", "succeeded", 1, "pair"),
        ("lower.boom", "failed", 2, None),
    ]
    assert ward.left() == []


def test_an_abort_takes_what_was_called_along(kin: ModuleType, remote: Callable[[], Runner], ward: Ward) -> None:
    started = remote().run(kin.waits_for_ever)
    _until_two_run(ward)
    started.abort("enough")
    with pytest.raises(TaskAbortedError):
        started.outputs()
    assert [action.phase for action in started.actions] == ["aborted", "aborted"]
    assert ward.left() == []


def test_a_client_that_takes_a_run_up_serves_its_calls(kin: ModuleType, ward: Ward, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tasksdk]\nengine = "kubernetes"\n[tool.tasksdk.engines.kubernetes]\n'
        f'namespace = "{ward.cluster.namespace}"\ngrace_seconds = 1\n'
        f'storage = [{{path = "{shared}", volume = {{hostPath = {{path = "{shared}"}}}}}}]\n'
    )
    program = (
        "import kube_kin, tasksdk\n"
        f"runner = tasksdk.with_runcontext(mode='remote', name='taken-up', run_base_dir='{shared}')\n"
        "run = runner.run(kube_kin.waits)\n"
        "print(run.outputs()[0])\n"
        "print([(action.task_name, action.phase) for action in run.actions])\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path) as first:
        pods = _until_two_run(ward)
        first.kill()
    second = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    names, actions = second.stdout.splitlines()
    assert set(names.split()) == pods
    assert actions == "[('upper.waits', 'succeeded'), ('lower.patient', 'succeeded')]"
    assert ward.left() == []
