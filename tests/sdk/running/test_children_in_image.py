"""What a task in a container calls: containers of their own, in their own images."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tasksdk import with_runcontext
from tasksdk.errors import OutOfMemoryError, TaskAbortedError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

pytestmark = pytest.mark.e2e
MODULE = """
import os, time
from pathlib import Path
from tasksdk import Image, Resources, Secret, TaskEnvironment

here = Path(__file__).parent
registry = os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "localhost:5000")
image = Image.from_debian_base(name="REPOSITORY", registry=registry)
upper = TaskEnvironment("upper", image=image, env_vars={"COLOUR": "red"})
lower = TaskEnvironment(
    "lower",
    image=image.with_source_folder(here / "only", "/opt/only").with_env_vars({"PYTHONPATH": "/opt/only"}),
    env_vars={"COLOUR": "blue"},
    secrets=Secret("token", "team"),
    resources=Resources(memory="96Mi"),
)

@lower.task
def inner(x: int) -> str:
    import only_below
    group = Path("/sys/fs/cgroup")
    most = [group / "memory.max", group / "memory/memory.limit_in_bytes"]
    memory = next(path.read_text().strip() for path in most if path.exists())
    given = f"{os.environ['COLOUR']} {len(os.environ['TEAM_TOKEN'])}"
    return f"{x} {only_below.SAID} {given} {memory} {os.uname().nodename}"

@lower.task
def hog() -> int:
    return len(bytearray(512 << 20))

@lower.task
def between(x: int) -> str:
    return inner(x)

@upper.task
def outer(x: int) -> list[str]:
    try:
        import only_below
    except ImportError:
        seen = "nothing"
    return [f"{x} {seen} {os.environ['COLOUR']} {os.uname().nodename}", inner(x), between(x + 1)]

@upper.task
def greedy() -> int:
    return hog()

@lower.task
def marks(folder: str) -> None:
    Path(folder, "started").write_text(os.uname().nodename)
    time.sleep(1000)

@upper.task
def waits(folder: str) -> None:
    marks(folder)
"""


@pytest.fixture
def inside(repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "only_below.py").write_text("SAID = 'below'\n")
    (tmp_path / "deep_module.py").write_text(MODULE.replace("REPOSITORY", repository))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEAM_TOKEN", "hunter2")
    sys.modules.pop("deep_module", None)
    return importlib.import_module("deep_module")


def _containers() -> set[str]:
    command = ["docker", "ps", "--all", "--quiet", "--filter", "label=tasksdk.attempt"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def _until_started(folder: Path) -> str:
    deadline = time.monotonic() + 300
    started = folder / "started"
    while not started.exists() or not started.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return started.read_text()


def _until_gone(container: str) -> None:
    deadline = time.monotonic() + 120
    while container in _containers():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_each_call_has_its_own_image_and_settings(inside: ModuleType) -> None:
    runner = with_runcontext(mode="remote", engine="docker")
    finished = runner.run(inside.outer, 4)
    outer, inner, below = (line.split() for line in finished.outputs()[0])
    assert outer[:3] == ["4", "nothing", "red"]
    assert inner[:5] == ["4", "below", "blue", "7", str(96 << 20)]
    assert below[:5] == ["5", "below", "blue", "7", str(96 << 20)]
    assert len({outer[-1], inner[-1], below[-1]}) == 3
    assert [(action.task_name, action.phase) for action in finished.actions] == [
        (name, "succeeded") for name in ("upper.outer", "lower.inner", "lower.between", "lower.inner")
    ]
    failed = runner.run(inside.greedy)
    failed.wait()
    assert isinstance(failed.error, Exception)
    assert "ran out of memory" in str(failed.error)
    assert not isinstance(failed.error, OutOfMemoryError)  # the parent did not


def test_nothing_is_left_of_what_a_container_called(inside: ModuleType, tmp_path: Path) -> None:
    before = _containers()
    base = tmp_path / "base"
    runner = with_runcontext("remote", "left", "docker", run_base_dir=str(base))
    started = runner.run(inside.waits, str(base / "left"))
    called = _until_started(base / "left")
    started.abort("enough")
    with pytest.raises(TaskAbortedError):
        started.outputs()
    assert called not in _containers()
    assert not _containers() - before
    runner_text = f"with_runcontext('remote', 'killed', 'docker', run_base_dir={str(base)!r})"
    call = f"{runner_text}.run(deep_module.waits, {str(base / 'killed')!r}).wait()"
    script = f"import deep_module; from tasksdk import with_runcontext; {call}"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as client:
        called = _until_started(base / "killed")
        client.kill()
    _until_gone(called)
