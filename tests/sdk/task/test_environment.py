"""Environments and what depends on them, and how a resolver looks around."""

from __future__ import annotations

import pytest
from tasksdk import ContainerTask, Image, Resources, TaskEnvironment, TaskResolverMixin, default_task_resolver
from tasksdk.errors import TaskDefinitionError
from tasksdk.task.serialization import SerializationContext

base = TaskEnvironment("base", image="example.com/base:1", resources=Resources(cpu=2), env_vars={"A": "1"})


@base.task
def found_here(x: int) -> int:
    return x


def test_a_clone_differs_in_what_is_said() -> None:
    clone = base.clone_with("clone", cache="override", resources=Resources(cpu=1), depends_on=[base])
    assert (clone.name, clone.image, clone.env_vars, clone.cache) == ("clone", base.image, {"A": "1"}, "override")
    assert (clone.resources, base.resources, base.cache) == (Resources(cpu=1), Resources(cpu=2), None)
    assert (clone.tasks, clone.depends_on, list(base.tasks)) == ({}, [base], ["base.found_here"])


def test_dependencies_come_first_and_once() -> None:
    top, left, right = TaskEnvironment("top"), TaskEnvironment("left"), TaskEnvironment("right", depends_on=[base])
    left.add_dependency(base, base)
    top.add_dependency(left, right)
    top.add_dependency(left)
    assert [environment.name for environment in top.in_order()] == ["base", "left", "right", "top"]
    with pytest.raises(TaskDefinitionError, match="cannot depend on itself"):
        top.add_dependency(top)
    with pytest.raises(TaskDefinitionError, match="is not an environment"):
        top.add_dependency("left")  # type: ignore[arg-type] # on purpose


def test_environments_that_depend_on_each_other_end() -> None:
    one, two = TaskEnvironment("one"), TaskEnvironment("two")
    one.add_dependency(two)
    two.add_dependency(one)
    assert [environment.name for environment in one.in_order()] == ["two", "one"]


def test_a_resolver_knows_every_loaded_task() -> None:
    assert found_here in default_task_resolver.get_all_tasks()
    assert default_task_resolver.task_name(found_here) is None
    with pytest.raises(NotImplementedError, match="keeps no list"):
        TaskResolverMixin().get_all_tasks()


def test_the_container_is_the_image_with_its_command() -> None:
    settings = SerializationContext(version="1", env={"B": "2"})
    container = found_here.get_container(settings)
    assert (container.image, container.args[0]) == ("example.com/base:1", "tasksdk-execute")
    assert {pair.key: pair.value for pair in container.env} == {"A": "1", "B": "2"}
    image = Image.from_base("example.com/own:1", registry="example.com", name="own")
    own = ContainerTask("own", image, ["run"], arguments=["fast"])
    named = own.get_container(SerializationContext(images={image.identifier: "example.com/own@sha256:1"}))
    assert (named.image, list(named.command), list(named.args)) == ("example.com/own@sha256:1", ["run"], ["fast"])
