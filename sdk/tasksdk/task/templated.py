"""What a task puts into the fields of its template, under the names of both APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from flyteidl2.core.interface_pb2 import TypedInterface
    from flyteidl2.core.tasks_pb2 import Container, DataLoadingConfig, ExtendedResources, K8sPod, Sql, TaskTemplate

    from tasksdk.task.base import Task
    from tasksdk.task.serialization import SerializationContext


class Templated:
    """Each pair of names is one thing: a subclass that overrides either overrides both."""

    _pairs: ClassVar[tuple[tuple[str, str], ...]] = (("custom_config", "get_custom"), ("config", "get_config"))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for pair in cls._pairs:
            own = [name for name in pair if name in cls.__dict__]
            if len(own) == 1:
                for name in pair:
                    setattr(cls, name, cls.__dict__[own[0]])

    def custom_config(self, sctx: SerializationContext) -> dict[str, Any]:  # noqa: ARG002 - for subclasses
        """Settings of the task's type, for the template's `custom`."""
        return {}

    def config(self, sctx: SerializationContext) -> dict[str, str]:  # noqa: ARG002 - for subclasses
        """Settings of the task's type, for the template's `config`."""
        return {}

    def sql(self, sctx: SerializationContext) -> str | None:  # noqa: ARG002 - for subclasses
        """The statement of a task that is one."""
        return None

    def container_args(self, sctx: SerializationContext) -> list[str]:  # noqa: ARG002 - for subclasses
        """The arguments of its container."""
        return []

    def data_loading_config(self, sctx: SerializationContext) -> DataLoadingConfig | None:  # noqa: ARG002 - for subclasses
        """How a container without the SDK gets its inputs."""
        return None

    get_custom = custom_config
    get_config = config

    def get_sql(self, settings: SerializationContext) -> Sql | None:
        """The message around `sql`."""
        statement = self.sql(settings)
        if statement is None:
            return None
        from flyteidl2.core.tasks_pb2 import Sql

        return Sql(statement=statement, dialect=Sql.ANSI)

    def get_container(self, settings: SerializationContext) -> Container | None:  # noqa: ARG002 - for subclasses
        """The container that runs the task, where it has one of its own."""
        return None

    def get_k8s_pod(self, settings: SerializationContext) -> K8sPod | None:
        """The pod that runs the task, where a pod template says so."""
        from tasksdk.task.template import pod_message

        return pod_message(self._task, settings)

    def get_extended_resources(self, settings: SerializationContext) -> ExtendedResources | None:  # noqa: ARG002 - K1
        """Accelerators and shared memory."""
        from tasksdk.task.template import extended_resources_message

        return extended_resources_message(self._task.resources)

    def to_template(self, sctx: SerializationContext | None = None) -> TaskTemplate:
        """The task as the message that everything else reads."""
        from tasksdk.task.serialization import SerializationContext
        from tasksdk.task.template import template_of

        return template_of(self._task, sctx or SerializationContext())

    @property
    def _task(self) -> Task:
        from tasksdk.task.base import Task

        assert isinstance(self, Task)
        return self

    @property
    def interface(self) -> TypedInterface:
        """The typed message of its inputs and outputs."""
        return self._task.typed_interface()
