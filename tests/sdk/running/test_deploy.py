"""Deployed tasks, traced functions, tasks of a template."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from flyteidl2.core.tasks_pb2 import TaskTemplate
from tasksdk import (
    ContainerTask,
    LazyEntity,
    NativeInterface,
    PythonCustomizedContainerTask,
    SerializationContext,
    ShimTaskExecutor,
    Task,
    TaskEnvironment,
    deploy,
    kwtypes,
    run,
    trace,
    with_runcontext,
)
from tasksdk.errors import TaskDefinitionError, TaskNotFoundError, UserInputError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

MODULE = """
from tasksdk import NativeInterface, PythonCustomizedContainerTask, ShimTaskExecutor, TaskEnvironment, kwtypes

base = TaskEnvironment("base", image="registry/base:1")
env = TaskEnvironment("deployed", image="registry/image:1", dependencies=[base], env_vars={"A": "1"})

@base.task
def needed() -> int:
    return 1

@env.task(retries=2)
def double(x: int) -> int:
    return x * 2

@env.task(cache="auto", max_inline_io_bytes=99)
async def added(x: int, more: list[int] = [1], *, scale: float = 2.0) -> float:
    return (x + sum(more)) * scale

class Repeat(ShimTaskExecutor):
    def execute_from_model(self, tt, **kwargs):
        return tt.custom["word"] * kwargs["times"]

class RepeatTask(PythonCustomizedContainerTask):
    def __init__(self, name, word):
        self.word = word
        interface = NativeInterface(kwtypes(times=int), kwtypes(text=str))
        super().__init__(name, "registry/repeat:1", Repeat, task_type="repeat", interface=interface)

    def get_custom(self, settings):
        return {"word": self.word}

repeat = RepeatTask("repeat", "ab")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "deployed_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("deployed_module", None)
    return importlib.import_module("deployed_module")


def test_dependencies_come_first_and_versions_are_of_the_content(module: ModuleType) -> None:
    first, second = deploy(module.env), deploy(module.env)
    assert first.tasks == ["base.needed", "deployed.double", "deployed.added"]
    assert first.version == second.version
    assert deploy(module.env, version="v2").version == "v2"


def test_a_deployed_task_is_fetched_when_it_is_used(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = Task.get("deployed.double")
    assert lazy.name == "deployed.double"
    with pytest.raises(TaskNotFoundError, match="was not deployed"):
        lazy(x=1)
    deploy(module.env, version="v1")
    assert "not fetched" in repr(lazy)
    assert lazy(x=4) == 8
    assert (lazy.retries.count, lazy.env_vars, lazy.version) == (2, {"A": "1"}, "v1")
    import tasksdk.task.deployment as deployment

    monkeypatch.setattr(deployment, "database", None)
    assert lazy.native_interface.inputs == {"x": int}
    monkeypatch.undo()
    with pytest.raises(TaskNotFoundError, match="version v9"):
        Task.get("deployed.double", "v9").fetch()


def test_a_deployed_task_runs_in_every_mode(module: ModuleType) -> None:
    deploy(module.env)
    assert run(Task.get("deployed.double"), x=2).outputs()[0] == 4
    assert with_runcontext(mode="remote").run(Task.get("deployed.double"), x=3).outputs()[0] == 6


def test_what_cannot_be_deployed_is_an_error(module: ModuleType) -> None:
    with pytest.raises(UserInputError, match="no task"):
        deploy(TaskEnvironment("empty"))
    with pytest.raises(UserInputError, match="two tasks"):
        deploy(module.env, module.env.clone_with("other", dependencies=[module.env]), _twin(module))


def _twin(module: ModuleType) -> TaskEnvironment:
    twin = TaskEnvironment("deployed")
    twin.add_task(module.double)
    return twin


def test_a_template_task_runs_here_and_without_its_module(module: ModuleType, tmp_path: Path) -> None:
    assert module.repeat(times=2) == "abab"
    assert run(module.repeat, times=3).outputs()[0] == "ababab"
    assert with_runcontext(mode="remote").run(module.repeat, times=3).outputs()[0] == "ababab"


def test_the_command_of_a_template_task_is_the_documented_one(module: ModuleType) -> None:
    template = module.repeat.to_template(SerializationContext(input_path="in", output_path="out", raw_data_path="raw"))
    assert list(template.container.args) == [
        *("tasksdk-execute", "--inputs", "in", "--output-prefix", "out", "--raw-output-data-prefix", "raw"),
        *("--resolver", "tasksdk.task.template_resolver.default_task_template_resolver"),
        *("--", "{{.taskTemplatePath}}", "deployed_module.Repeat"),
    ]
    assert (template.container.image, template.type, template.custom["word"]) == ("registry/repeat:1", "repeat", "ab")


def test_the_older_resolver_name_reads_template_bytes(module: ModuleType, tmp_path: Path) -> None:
    from tasksdk.literals import to_literals, to_value
    from tasksdk.wire import read_map, write_map

    (tmp_path / "task.pb").write_bytes(module.repeat.to_template().SerializeToString())
    (tmp_path / "in.pb").write_bytes(write_map(to_literals({"times": 2}, {"times": int}, "t")))
    resolver = "flytekit.core.python_customized_container_task.default_task_template_resolver"
    command = [
        *(sys.executable, "-m", "tasksdk.executor", "--inputs", "in.pb", "--output-prefix", "out"),
        *("--raw-output-data-prefix", "raw", "--resolver", resolver, "--", "task.pb", "deployed_module.Repeat"),
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert to_value(read_map((tmp_path / "out" / "outputs.pb").read_bytes())["text"], str, "text") == "abab"
    command[-2] = "absent.pb"
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_a_template_task_must_say_what_its_executor_needs() -> None:
    class Executor(ShimTaskExecutor):
        pass

    task = PythonCustomizedContainerTask("bare", "image:1", Executor, interface=NativeInterface(kwtypes(), kwtypes()))
    with pytest.raises(NotImplementedError, match="get_custom"):
        task.to_template()
    with pytest.raises(NotImplementedError, match="execute_from_model"):
        Executor().execute_from_model(TaskTemplate())
    with pytest.raises(TaskDefinitionError, match="subclass of ShimTaskExecutor"):
        PythonCustomizedContainerTask("bare", "image:1", Task)  # type: ignore[arg-type] # the point


STEPS: list[Any] = []


@trace
def step(x: int) -> int:
    STEPS.append(x)
    return x + 1


env = TaskEnvironment("traced")


@env.task
def traced(fail: bool) -> int:
    value = step(1)
    if fail and not STEPS[1:]:
        STEPS.append("failed")
        raise RuntimeError("after the step")
    return value


def test_a_traced_function_is_a_step_that_is_taken_over() -> None:
    STEPS.clear()
    assert step(5) == 6
    STEPS.clear()
    with pytest.raises(RuntimeError, match="after the step"):
        with_runcontext(name="traced").run(traced, fail=True)
    again = with_runcontext(name="traced").run(traced, fail=True)
    assert again.outputs()[0] == 2
    assert STEPS == [1, "failed"]
    assert any(action.task_name.endswith("step") for action in again.actions)


def test_a_deployed_task_is_as_it_was_defined(module: ModuleType) -> None:
    module.env.add_task(module.repeat)
    deploy(module.env)
    lazy: Any = Task.get("deployed.added")
    assert (lazy.short_name, lazy.cache.enabled, lazy.max_inline_io_bytes) == ("added", True, 99)
    assert run(lazy, 1).outputs()[0] == 4.0
    assert run(lazy, 1, more=[2], scale=1.0).outputs()[0] == 3.0
    assert with_runcontext(mode="remote").run(lazy, 1).outputs()[0] == 4.0
    repeat: Any = Task.get("repeat")
    assert (repeat(times=2), run(repeat, times=1).outputs()[0]) == ("abab", "ab")
    assert with_runcontext(mode="remote").run(repeat, times=3).outputs()[0] == "ababab"


def test_a_deployed_container_is_a_container(module: ModuleType) -> None:
    box = ContainerTask(
        *("box", "registry/box:1", ["sh", "-c"], {"x": str}, ["echo {{.inputs.x}}"], {"y": int}),
        input_data_dir="/in",
        output_data_dir="/out",
        metadata_format="PROTO",
        retries=1,
    )
    module.env.add_task(box)
    deploy(module.env, version="v3")
    lazy: Any = Task.get("box")
    assert isinstance(lazy.fetch(), ContainerTask)
    assert (lazy.version, lazy.retries.count, lazy.container_args(None)) == ("v3", 1, box.container_args(None))  # type: ignore[arg-type] # unused
    assert lazy.data_loading_config(None) == box.data_loading_config(None)  # type: ignore[arg-type] # unused
    assert lazy.native_interface == box.native_interface


def test_many_threads_fetch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    gate = threading.Barrier(4)

    def fetch() -> Any:
        fetched.append(1)
        return Task("python", "fetched")

    lazy = LazyEntity("fetched", fetch)

    def use(_: int) -> str:
        gate.wait()
        return lazy.task_type  # type: ignore[no-any-return] # of the task

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(use, range(4))) == ["python"] * 4
    assert len(fetched) == 1
