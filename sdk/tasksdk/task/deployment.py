"""Keeping the templates of an environment's tasks where `Task.get()` finds them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from tasksdk.configuration import configuration
from tasksdk.errors import TaskNotFoundError, UserInputError
from tasksdk.store.database import database
from tasksdk.task.deployed import DeployedContainer, DeployedTask, deployed, spec_of
from tasksdk.task.serialization import SerializationContext

if TYPE_CHECKING:
    from tasksdk.task.environment import Environment


class Deployment:
    """What was deployed: the version, and the full names of the tasks in the order of their environments."""

    def __init__(self, version: str, tasks: list[str]) -> None:
        self.version = version
        self.tasks = tasks

    def __repr__(self) -> str:
        return f"Deployment(version={self.version!r}, tasks={self.tasks!r})"


def deploy(*environments: Environment, version: str | None = None) -> Deployment:
    """Keep the templates of all tasks of these environments, and before them of those they depend on.

    Without a version they get one from their content.

    Raises:
        UserInputError: nothing to deploy, or two tasks of one name.
    """
    ordered = dict.fromkeys(found for environment in environments for found in environment.in_order())
    tasks = [task for environment in ordered for task in getattr(environment, "tasks", {}).values()]
    names = [task.name for task in tasks]
    if not tasks:
        raise UserInputError("there is no task to deploy", hint="deploy an environment that has tasks")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserInputError(f"two tasks are called {twice}", hint="give one of the environments another name")
    templates = [
        task.to_template(SerializationContext(version=version or "", **configuration().project.named)) for task in tasks
    ]
    store = database()
    specs = [spec_of(task, template, store.folder) for task, template in zip(tasks, templates, strict=True)]
    if version is None:
        content = b"".join(spec.SerializeToString(deterministic=True) for spec in specs)
        version = sha256(content).hexdigest()[:16]
        for spec in specs:
            spec.task_template.id.version = version
    for name, spec in zip(names, specs, strict=True):
        store.put_spec(name, version, spec.SerializeToString(deterministic=True))
    return Deployment(version, names)


def fetch_deployed(name: str, version: str | None) -> DeployedTask | DeployedContainer:
    """The task of that version, or of the one deployed last.

    Raises:
        TaskNotFoundError: it was not deployed.
    """
    from flyteidl2.task.task_definition_pb2 import TaskSpec

    found = database().spec(name, version)
    if found is None:
        what = f"task {name}" if version is None else f"version {version} of task {name}"
        raise TaskNotFoundError(f"{what} was not deployed", hint="deploy its environment first: deploy(env)")
    return deployed(TaskSpec.FromString(found[1]))
