"""Tasks that are known by their template alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.errors import TaskNotFoundError
from tasksdk.task.base import Task
from tasksdk.task.security import secrets_of
from tasksdk.task.serialization import EXECUTOR, SerializationContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from flyteidl2.core.tasks_pb2 import TaskTemplate as TaskTemplateMessage

    from tasksdk.values.reuse import ReusePolicy


class DeployedTask(Task):
    """A task from its template; called here, it is found by the arguments that a container would get."""

    def __init__(self, template: TaskTemplateMessage) -> None:
        metadata = template.metadata
        super().__init__(
            template.type,
            template.id.name,
            template.interface,
            task_type_version=template.task_type_version,
            secrets=secrets_of(template.security_context) or None,
            retries=metadata.retries.retries,
            timeout=metadata.timeout.ToTimedelta(),
            env_vars={pair.key: pair.value for pair in template.container.env} or None,
            image=template.container.image or None,
            deprecated=metadata.deprecated_error_message or None,
            reusable=_reuse(template),
        )
        self.template = template

    @property
    def version(self) -> str:
        """The version it was deployed under."""
        return str(self.template.id.version)

    def execute(self, **kwargs: Any) -> Any:
        """Find the task's code here and run it.

        Raises:
            TaskNotFoundError: its code is not on this machine.
        """
        from tasksdk.task.locate import find

        args = list(self.template.container.args)
        if "--resolver" not in args:
            raise TaskNotFoundError(f"task {self.name} is a container and can only run on an engine")
        at = args.index("--resolver")
        resolver: Any = find(args[at + 1], "resolver")
        loaded: Task = resolver.load_task(args[at + 3 :])
        return loaded.forward(**kwargs)

    def to_template(self, sctx: SerializationContext | None = None) -> TaskTemplateMessage:
        """The template, with the paths of a submission where it has places for them."""
        sctx = sctx or SerializationContext()
        paths = {
            "{{.input}}": sctx.input_path,
            "{{.outputPrefix}}": sctx.output_path,
            "{{.rawOutputDataPrefix}}": sctx.raw_data_path,
        }
        template = type(self.template).FromString(self.template.SerializeToString())
        args = [paths.get(arg, arg) for arg in template.container.args]
        if args[:1] == [EXECUTOR]:
            bundle = [] if sctx.code_bundle is None else sctx.code_bundle.arguments()
            at = args.index("--resolver")
            args = [*sctx.executor, *args[1:at], *bundle, *args[at:]]
        template.container.args[:] = args
        return template


def _reuse(template: TaskTemplateMessage) -> ReusePolicy | None:
    if not template.HasField("reuse_policy"):
        return None
    from tasksdk.values.reuse import ReusePolicy

    policy = template.reuse_policy
    return ReusePolicy((policy.min_replicas, policy.max_replicas), policy.idle_ttl.ToTimedelta())


class LazyEntity:
    """Stands for a task that was deployed: fetched once, when it is called or looked at."""

    def __init__(self, name: str, fetch: Callable[[], DeployedTask]) -> None:
        self._name = name
        self._fetch = fetch
        self._task: DeployedTask | None = None

    @property
    def name(self) -> str:
        """The full name of the task; known without fetching it."""
        return self._name

    def fetch(self) -> DeployedTask:
        """The task itself."""
        if self._task is None:
            self._task = self._fetch()
        return self._task

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the task."""
        return self.fetch()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.fetch(), name)

    def __repr__(self) -> str:
        return f"LazyEntity({self._name!r}, {'fetched' if self._task is not None else 'not fetched'})"
