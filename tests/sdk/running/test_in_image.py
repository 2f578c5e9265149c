"""Tasks in an image that this project builds: from the spec to the value, through a registry and Docker."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import pytest
from tasksdk import with_runcontext
from tasksdk.engines.docker import DockerEngine
from tasksdk.errors import OutOfMemoryError, TaskError, TaskTimeoutError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

pytestmark = pytest.mark.e2e
MODULE = """
import os
from tasksdk import Image, Resources, Secret, TaskEnvironment, ctx

registry = os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "localhost:5000")
image = Image.from_debian_base(name="REPOSITORY", registry=registry)
env = TaskEnvironment("inside", image=image, env_vars={"COLOUR": "red"}, secrets=Secret("token", "team"))

@env.task
def where(x: int) -> str:
    print("inside", x)
    inside = os.path.exists("/.dockerenv")
    return f"{x} {inside} {os.environ['COLOUR']} {len(os.environ['TEAM_TOKEN'])} {ctx().mode}"

@env.task
def boom() -> None:
    raise ValueError("boom")

@env.task(resources=Resources(memory="128Mi"))
def hog() -> int:
    return len(bytearray(512 << 20))

@env.task
def bomb() -> None:
    while True:
        os.fork()

@env.task(timeout=5)
def patient_bomb() -> None:
    while True:
        try:
            os.fork()
        except OSError:
            pass
"""


@pytest.fixture
def inside(repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "inside_module.py").write_text(MODULE.replace("REPOSITORY", repository))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEAM_TOKEN", "hunter2-in-the-image")
    sys.modules.pop("inside_module", None)
    return importlib.import_module("inside_module")


def test_from_the_spec_to_the_value(inside: ModuleType, home: Path) -> None:
    runner = with_runcontext(mode="remote", engine="docker")
    started = runner.run(inside.where, x=4)
    assert started.outputs()[0] == f"4 True red {len('hunter2-in-the-image')} remote"
    assert list(started.action.logs()) == ["inside 4"]
    assert not [path for path in home.rglob("*") if path.is_file() and b"hunter2-in-the-image" in path.read_bytes()]
    assert {path.stat().st_uid for path in home.rglob("*")} == {os.getuid()}
    with pytest.raises(TaskError, match="ValueError: boom") as caught:
        runner.run(inside.boom).outputs()
    assert "inside_module.py" in caught.value.traceback
    with pytest.raises(OutOfMemoryError):
        runner.run(inside.hog).outputs()
    bounded = with_runcontext(mode="remote", engine=DockerEngine(processes=50))
    with pytest.raises(TaskError, match="BlockingIOError"):
        bounded.run(inside.bomb).outputs()
    with pytest.raises(TaskTimeoutError, match="longer than 5 s"):
        bounded.run(inside.patient_bomb).outputs()
