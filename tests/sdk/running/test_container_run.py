"""Container tasks in real containers."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tasksdk import ContainerTask, File, Secret, TaskEnvironment, ctx, run, with_runcontext
from tasksdk.errors import TaskError, TaskOutputError, TaskTimeoutError

pytestmark = pytest.mark.e2e
IMAGE = f"{os.environ.get('IMAGEBUILDER_TEST_REGISTRY', 'localhost:5000')}/library/python:3.11-slim-bookworm"


def _task(script: str, **settings: Any) -> ContainerTask:
    return ContainerTask("shell", IMAGE, ["sh", "-c", script], **settings)


def _containers() -> set[str]:
    command = ["docker", "ps", "--all", "--quiet", "--filter", "label=tasksdk.attempt"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_inputs_go_in_and_outputs_come_out(capfd: pytest.CaptureFixture[str]) -> None:
    task = _task(
        "cat /var/inputs/word; echo ' {{.inputs.n}}';"
        "expr {{.inputs.n}} + 1 > /var/outputs/m; cp /var/inputs/word /var/outputs/copy",
        inputs={"word": str, "n": int},
        outputs={"m": int, "copy": str},
    )
    before = _containers()
    assert task(word="hello", n=4) == (5, "hello")
    assert capfd.readouterr().out == "hello 4\n"
    assert _containers() <= before
    assert task.forward(word="again", n=1) == (2, "again")
    assert run(task, word="in a run", n=2).outputs() == (3, "in a run")


def test_logs_can_be_silent(capfd: pytest.CaptureFixture[str]) -> None:
    assert _task("echo loud", local_logs=False)() is None
    assert capfd.readouterr().out == ""


def test_the_document_can_be_the_way_in_and_out() -> None:
    read, write = (
        "d = json.load(open('/in/inputs.json'))",
        "json.dump({'y': d['x'] * 2}, open('/out/outputs.json', 'w'))",
    )
    program = f"import json; {read}; {write}"
    task = ContainerTask("d", IMAGE, ["python", "-c", program], {"x": int}, None, {"y": int}, "/in", "/out", "JSON")
    assert task(x=4) == 8


def test_failures_are_told_and_the_container_is_gone() -> None:
    before = _containers()
    with pytest.raises(TaskError, match="exit code 3"):
        _task("exit 3")()
    with pytest.raises(TaskOutputError, match="wrote no file x"):
        _task("true", outputs={"x": int})()
    with pytest.raises(TaskOutputError, match="type int"):
        _task("echo three > /var/outputs/x", outputs={"x": int})()
    with pytest.raises(TaskTimeoutError, match="longer than 1 s"):
        _task("sleep 1000", timeout=1)()
    with pytest.raises(TaskTimeoutError, match="longer than 1 s"):
        run(_task("sleep 1000", timeout=1))
    assert _containers() <= before


def test_variables_and_secrets_reach_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "hunter2")
    task = _task(
        'test "$TEAM_TOKEN" = hunter2 && echo "$COLOUR" > /var/outputs/seen',
        outputs={"seen": str},
        env_vars={"COLOUR": "red"},
        secrets=Secret("token", "team"),
    )
    assert run(task).outputs()[0] == "red"


class Hooked(ContainerTask):
    def pre(self, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        return {"scale": 10}

    def post(self, return_vals: Any) -> Any:
        context = ctx()
        assert context is not None
        return return_vals * context.data["scale"]


def test_pre_and_post_stand_around_it() -> None:
    task = Hooked("hooked", IMAGE, ["sh", "-c", "echo 4 > /var/outputs/x"], outputs={"x": int})
    assert run(task).outputs()[0] == 40


env = TaskEnvironment("parents")


def test_a_parent_awaits_it() -> None:
    task = _task("expr {{.inputs.n}} + 1 > /var/outputs/m", inputs={"n": int}, outputs={"m": int})

    @env.task
    async def parent() -> int:
        return sum(await asyncio.gather(task.aio(n=1), task.aio(n=2)))

    assert run(parent).outputs()[0] == 5


def test_an_engine_runs_it() -> None:
    task = _task("expr {{.inputs.n}} + 1 > /var/outputs/m; echo done", inputs={"n": int}, outputs={"m": int})
    started = with_runcontext(mode="remote", engine="docker").run(task, n=4)
    assert started.outputs()[0] == 5
    assert list(started.action.logs()) == ["done"]


def test_runs_may_be_kept_at_an_address(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("a page")
    task = _task(
        "cat /var/inputs/page; cat /var/inputs/inputs.json; cp /var/inputs/page /var/outputs/copy",
        inputs={"page": File},
        outputs={"copy": File},
    )
    runner = with_runcontext(mode="remote", engine="docker", run_base_dir="memory://container-runs")
    started = runner.run(task, page=File(tmp_path / "page"))
    copy = started.outputs()[0]
    assert copy.path.startswith("memory://container-runs")
    assert Path(copy).read_text() == "a page"
    assert list(started.action.logs()) == ['a page{"page": "/var/inputs/page"}']
