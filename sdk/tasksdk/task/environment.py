"""Environments: what the tasks of a group have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from tasksdk.errors import TaskDefinitionError
from tasksdk.task.function import FunctionTask
from tasksdk.values.settings import TaskSettings

if TYPE_CHECKING:
    from tasksdk.task.base import Task
    from tasksdk.values.cache import CacheRequest
    from tasksdk.values.pod import PodTemplate
    from tasksdk.values.resources import Resources
    from tasksdk.values.reuse import ReusePolicy

F = TypeVar("F", bound=Callable[..., Any])
Self = TypeVar("Self", bound="Environment")


class Environment:
    """A name, an image and settings that tasks inherit, and the environments that are deployed before this one."""

    def __init__(
        self,
        name: str,
        image: Any = "auto",
        resources: Resources | None = None,
        env_vars: Mapping[str, str] | None = None,
        secrets: Any = None,
        *,
        depends_on: list[Environment] | None = None,
        dependencies: list[Environment] | None = None,
        pod_template: PodTemplate | str | None = None,
        interruptible: bool | None = None,
        queue: str | None = None,
        description: str | None = None,
        **settings: Any,
    ) -> None:
        given: object = name
        plain = isinstance(given, str) and given.isascii() and given.replace("-", "").replace("_", "").isalnum()
        if not plain:
            raise TaskDefinitionError(
                f"{name!r} is not the name of an environment", hint="use letters, digits, - and _: my-environment"
            )
        self.name = name
        self.description = description
        self.settings = TaskSettings(
            image=image,
            resources=resources,
            env_vars=env_vars,
            secrets=secrets,
            pod_template=pod_template,
            interruptible=interruptible,
            queue=queue,
            **settings,
        )
        self.depends_on: list[Environment] = []
        self.add_dependency(*(depends_on or ()), *(dependencies or ()))

    @property
    def image(self) -> Any:
        """The image of its tasks."""
        return self.settings.image

    @property
    def resources(self) -> Resources | None:
        """What its tasks need, unless they say otherwise."""
        return self.settings.resources

    @property
    def env_vars(self) -> Mapping[str, str] | None:
        """Variables of its tasks."""
        return self.settings.env_vars

    @property
    def secrets(self) -> Any:
        """Secrets of its tasks."""
        return self.settings.secrets

    @property
    def dependencies(self) -> list[Environment]:
        """The same as `depends_on`."""
        return self.depends_on

    def add_dependency(self, *environments: Environment) -> None:
        """Deploy these before this one; the same one twice is one.

        Raises:
            TaskDefinitionError: this environment itself, or something else.
        """
        for environment in environments:
            if not isinstance(environment, Environment):
                raise TaskDefinitionError(f"environment {self.name}: {environment!r} is not an environment")
            if environment is self:
                raise TaskDefinitionError(f"environment {self.name} cannot depend on itself")
            if environment not in self.depends_on:
                self.depends_on.append(environment)

    def in_order(self) -> Iterator[Environment]:
        """Everything this depends on, each once and after what it depends on itself, then this."""
        seen: set[int] = set()

        def visit(environment: Environment) -> Iterator[Environment]:
            if id(environment) not in seen:
                seen.add(id(environment))
                for needed in environment.depends_on:
                    yield from visit(needed)
                yield environment

        return visit(self)

    def clone_with(self: Self, name: str, **changes: Any) -> Self:  # noqa: PYI019 - typing has no Self in 3.10
        """Another environment that differs in its name and in what is said here; it has no tasks yet."""
        changes = {key: value for key, value in changes.items() if value is not None}
        dependencies = [*changes.pop("depends_on", []), *changes.pop("dependencies", [])]
        return type(self)(
            name,
            **{**self.settings.__dict__, **self._own(), **changes},
            depends_on=dependencies or list(self.depends_on),
        )

    def _own(self) -> dict[str, Any]:
        return {"description": self.description}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class TaskEnvironment(Environment):
    """An environment whose `task` turns functions into tasks named `environment.function`."""

    def __init__(
        self,
        name: str,
        image: Any = "auto",
        resources: Resources | None = None,
        env_vars: Mapping[str, str] | None = None,
        secrets: Any = None,
        *,
        cache: CacheRequest | None = None,
        reusable: ReusePolicy | None = None,
        plugin_config: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            name,
            image,
            resources,
            env_vars,
            secrets,
            cache=cache,
            reusable=reusable,
            plugin_config=plugin_config,
            **settings,
        )
        self._tasks: dict[str, Task] = {}

    @property
    def tasks(self) -> dict[str, Task]:
        """Its tasks by their full names."""
        return self._tasks

    @property
    def cache(self) -> CacheRequest | None:
        """How results are kept, unless a task says otherwise."""
        return self.settings.cache

    @property
    def reusable(self) -> ReusePolicy | Literal["off"] | None:
        """Whether processes outlive a call, unless a task says otherwise."""
        return self.settings.reusable

    @property
    def plugin_config(self) -> Any:
        """Settings of its tasks' type."""
        return self.settings.plugin_config

    @overload
    def task(self, func: F, /) -> FunctionTask: ...
    @overload
    def task(self, func: None = None, /, **settings: Any) -> Callable[[F], FunctionTask]: ...

    def task(self, func: F | None = None, /, **settings: Any) -> FunctionTask | Callable[[F], FunctionTask]:
        """Make the function a task; a setting given here beats the environment's."""
        given = TaskSettings(**_known(settings, self.name))

        def decorate(function: F) -> FunctionTask:
            if not hasattr(function, "__code__"):
                raise TaskDefinitionError(f"environment {self.name}: {function!r} is not a function")
            task = FunctionTask(function, f"{self.name}.{function.__name__}", parent_env=self)
            task.settings = given.over(self.settings.replace(docs=task.settings.docs))
            self._tasks[task.name] = task
            return task

        return decorate if func is None else decorate(func)

    @classmethod
    def from_task(cls, name: str, *tasks: Task, depends_on: list[Environment] | None = None) -> TaskEnvironment:
        """An environment of tasks that are no functions: containers, or what plugins run."""
        made = cls(name, depends_on=depends_on)
        made.add_task(*tasks)
        return made

    def add_task(self, *tasks: Task) -> None:
        """Count tasks that are no functions among this environment's."""
        for task in tasks:
            self._tasks[task.name] = task


def _known(settings: dict[str, Any], name: str) -> dict[str, Any]:
    unknown = settings.keys() - set(TaskSettings.fields)
    if unknown:
        known = ", ".join(TaskSettings.fields)
        raise TaskDefinitionError(
            f"environment {name}: a task has no setting {', '.join(sorted(unknown))}", hint=f"there are: {known}"
        )
    return settings
