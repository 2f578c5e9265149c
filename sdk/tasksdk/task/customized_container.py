"""Tasks whose work is done by an executor in an image of its own, from the template alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.errors import TaskDefinitionError
from tasksdk.task.base import Task
from tasksdk.task.command import executor_command
from tasksdk.task.python_task import PythonTask
from tasksdk.task.template_resolver import default_task_template_resolver

if TYPE_CHECKING:
    from flyteidl2.core.tasks_pb2 import Container
    from flyteidl2.core.tasks_pb2 import TaskTemplate as TaskTemplateMessage

    from imagebuilder.spec.image import Image
    from tasksdk.interface import NativeInterface
    from tasksdk.task.resolver import TaskResolverMixin
    from tasksdk.task.serialization import SerializationContext


class ShimTaskExecutor:
    """Does the work of a task from its serialized template: the same code here and in the container."""

    def execute_from_model(self, tt: TaskTemplateMessage, **kwargs: Any) -> Any:
        """Do the work: the template says what, the keyword arguments are the inputs."""
        raise NotImplementedError(f"{type(self).__name__} does not say what execute_from_model does")


class PythonCustomizedContainerTask(PythonTask):
    """The base of pre-built container tasks; a subclass says in `get_custom` what its executor needs to know."""

    def __init__(
        self,
        name: str,
        container_image: str | Image,
        executor_type: type[ShimTaskExecutor],
        task_config: Any = None,
        *,
        task_type: str = "python-task",
        interface: NativeInterface | None = None,
        task_resolver: TaskResolverMixin | None = None,
        **kwargs: Any,
    ) -> None:
        given: object = executor_type
        if not (isinstance(given, type) and issubclass(given, ShimTaskExecutor)):
            raise TaskDefinitionError(
                f"task {name}: {executor_type!r} is not a subclass of ShimTaskExecutor", hint="pass the class itself"
            )
        super().__init__(task_type, name, task_config, interface, image=container_image, **kwargs)
        self._executor_type = executor_type
        self._resolver = task_resolver or default_task_template_resolver

    @property
    def container_image(self) -> Any:
        """The image that holds the SDK and the executor."""
        return self.image

    @property
    def executor_type(self) -> type[ShimTaskExecutor]:
        """The class that does the work."""
        return self._executor_type

    @property
    def executor(self) -> ShimTaskExecutor:
        """A new executor."""
        return self._executor_type()

    @property
    def task_resolver(self) -> TaskResolverMixin:
        """What makes an executable task of the template."""
        return self._resolver

    def get_custom(self, settings: SerializationContext) -> dict[str, Any]:
        """What the executor needs to know; for subclasses."""
        raise NotImplementedError(f"task {self.name}: {type(self).__name__} does not override get_custom")

    def execute(self, **kwargs: Any) -> Any:
        """Let the executor do the work, from the template that the container would get."""
        return self.executor.execute_from_model(self.to_template(), **kwargs)

    def container_args(self, sctx: SerializationContext) -> list[str]:
        """The executor's command, with the place of the template."""
        return executor_command(self, sctx)

    def get_container(self, settings: SerializationContext) -> Container:
        """The image, running the executor."""
        from tasksdk.task.template import container_message

        return container_message(self, settings, self.container_args(settings))


class ExecutableTemplateTask(Task):
    """A task made of a template and an executor: the task object of the client is not there."""

    def __init__(self, template: TaskTemplateMessage, executor_type: type[ShimTaskExecutor]) -> None:
        super().__init__(
            template.type, template.id.name, template.interface, task_type_version=template.task_type_version
        )
        self.template = template
        self.executor_type = executor_type

    def execute(self, **kwargs: Any) -> Any:
        """Let the executor do the work."""
        return self.executor_type().execute_from_model(self.template, **kwargs)
