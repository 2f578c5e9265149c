"""A call as a document: what the client makes of it."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest
from flyteidl2.workflow.queue_service_pb2 import EnqueueActionRequest
from tasksdk import ContainerTask, Image, Resources, Task, kwtypes
from tasksdk.context.current import ActionID, GroupData, TaskContext
from tasksdk.errors import TaskDefinitionError
from tasksdk.running.request import request_of, task_of
from tasksdk.task.deployed import DeployedTask

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

MODULE = """
from pathlib import Path
from tasksdk import Cache, Image, ReusePolicy, TaskEnvironment

image = Image.from_base("python:3.11-slim").with_source_folder(Path(__file__).parent / "not-here")
env = TaskEnvironment("asked", image=image, env_vars={"A": "1"}, reusable=ReusePolicy(1, 60))
plain = TaskEnvironment("plain", image="registry/image:1")
default = TaskEnvironment("default")

@env.task(cache="auto", retries=2, report=True)
def double(x: int) -> int:
    return 2 * x

@plain.task
def same(x: int) -> int:
    return x

@default.task
def auto(x: int) -> int:
    return x
"""
CALLER = TaskContext(action=ActionID("a0", "run"), group_data=GroupData("together"))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "asked_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("asked_module", None)
    return importlib.import_module("asked_module")


def _there(task: Task) -> Task:
    return task_of(EnqueueActionRequest.FromString(request_of(task, CALLER, "inputs")))


def test_the_document_says_who_calls(asked: ModuleType) -> None:
    request = EnqueueActionRequest.FromString(request_of(asked.same, CALLER, "s3://bucket/inputs.pb"))
    assert (request.parent_action_name, request.action_id.run.name, request.group) == ("a0", "run", "together")
    assert (request.input_uri, request.task.spec.task_template.id.name) == ("s3://bucket/inputs.pb", "plain.same")


def test_the_client_s_own_task_is_taken_and_its_image_not_read(asked: ModuleType) -> None:
    assert _there(asked.double) is asked.double


def test_what_was_overridden_comes_along_alone(asked: ModuleType) -> None:
    changed = asked.double.override(
        resources=Resources(cpu=2), env_vars={}, retries=0, report=False, reusable="off", timeout=5, short_name="two"
    )
    found = _there(changed)
    assert (found.resources, dict(found.env_vars), found.retries.count) == (Resources(cpu="2"), {}, 0)
    assert (found.report, found.reusable, found.timeout.runtime_seconds, found.short_name) == (False, None, 5.0, "two")
    assert (found.image, found.cache) == (asked.image, asked.double.cache)
    assert found.origin is asked.double


@pytest.mark.parametrize(("name", "image"), [("same", "registry/image:1"), ("auto", "auto")])
def test_a_task_that_the_client_cannot_import_is_that_of_its_template(asked: ModuleType, name: str, image: str) -> None:
    document = request_of(getattr(asked, name), CALLER, "inputs")
    sys.modules["asked_module"] = None  # type: ignore[assignment] # importing it fails
    found = task_of(EnqueueActionRequest.FromString(document))
    assert isinstance(found, DeployedTask)
    assert (found.name, found.image) == (getattr(asked, name).name, image)
    del sys.modules["asked_module"]


def test_an_image_that_nobody_knows_is_named(asked: ModuleType) -> None:
    document = request_of(asked.double, CALLER, "inputs")
    sys.modules["asked_module"] = None  # type: ignore[assignment] # as above
    with pytest.raises(TaskDefinitionError, match="its module asked_module cannot be imported"):
        task_of(EnqueueActionRequest.FromString(document))
    del sys.modules["asked_module"]
    made_here = ContainerTask("here", Image.from_base("debian"), ["true"], kwtypes(x=int), outputs=kwtypes(y=int))
    with pytest.raises(TaskDefinitionError, match="it is no task of a module"):
        _there(made_here)


def test_a_container_task_that_is_made_while_a_task_runs(asked: ModuleType) -> None:
    made = ContainerTask("here", "debian:12", ["cat"], kwtypes(x=int), ["{{.inputs.x}}"], kwtypes(y=str))
    found = _there(made)
    assert isinstance(found, ContainerTask)
    assert (found.image, found.command, found.native_interface.outputs) == ("debian:12", ["cat"], {"y": str})
