"""How a task without any user's module is found: by its template's bytes and its executor's class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasksdk.errors import TaskDefinitionError, TaskNotFoundError
from tasksdk.task.locate import find
from tasksdk.task.resolver import TaskResolverMixin

if TYPE_CHECKING:
    from tasksdk.task.base import Task
    from tasksdk.task.serialization import SerializationContext

# A submitter writes the template and puts its place here.
TEMPLATE_PATH = "{{.taskTemplatePath}}"


class DefaultTaskTemplateResolver(TaskResolverMixin):
    """Emits `{{.taskTemplatePath}} module.Executor`, and makes a task of both."""

    def name(self) -> str:
        """What this resolver is called."""
        return "default_task_template_resolver"

    def load_task(self, loader_args: list[str]) -> Task:
        """Read the template and import the executor."""
        from flyteidl2.core.tasks_pb2 import TaskTemplate
        from google.protobuf.message import DecodeError

        from tasksdk.task.customized_container import ExecutableTemplateTask, ShimTaskExecutor
        from tasksdk.types import storage

        if len(loader_args) != 2:
            raise TaskNotFoundError(
                f"{' '.join(loader_args)!r} names no template and executor", hint="write: -- PATH MODULE.CLASS"
            )
        path, location = loader_args
        try:
            template = TaskTemplate.FromString(storage.read(path))
        except (DecodeError, OSError) as error:
            raise TaskNotFoundError(f"there is no task template at {path}: {error}") from None
        executor = find(location, "executor")
        if not (isinstance(executor, type) and issubclass(executor, ShimTaskExecutor)):
            raise TaskNotFoundError(f"{location} is not a subclass of ShimTaskExecutor")
        return ExecutableTemplateTask(template, executor)

    def loader_args(self, settings: SerializationContext, t: Task) -> list[str]:  # noqa: ARG002 - the mixin's signature
        """The place of the template, and the executor."""
        executor = getattr(t, "executor_type", None)
        if executor is None:
            raise TaskDefinitionError(
                f"task {t.name} has no executor", hint="derive it from PythonCustomizedContainerTask"
            )
        return [TEMPLATE_PATH, f"{executor.__module__}.{executor.__qualname__}"]

    def get_all_tasks(self) -> list[Task]:
        """None: a template is known when it is read."""
        return []


default_task_template_resolver = DefaultTaskTemplateResolver()
