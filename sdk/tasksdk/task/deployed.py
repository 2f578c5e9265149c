"""Tasks that are known by their template alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tasksdk.errors import TaskNotFoundError
from tasksdk.literals import message, to_literal, to_value
from tasksdk.task.base import Task
from tasksdk.task.container import ContainerTask
from tasksdk.task.guess import native_interface_of
from tasksdk.task.serialization import EXECUTOR, SerializationContext
from tasksdk.task.template_resolver import TEMPLATE_PATH
from tasksdk.task.template_settings import container_of, set_arguments, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flyteidl2.core.tasks_pb2 import TaskTemplate as TaskTemplateMessage
    from flyteidl2.task.task_definition_pb2 import TaskSpec

    from tasksdk.interface import NativeInterface


def spec_of(task: Task, template: TaskTemplateMessage, folder: str) -> TaskSpec:
    """The template with the defaults of its inputs; those that no literal holds lie below `folder`."""
    from flyteidl2.core.interface_pb2 import Parameter, Variable
    from flyteidl2.task.common_pb2 import NamedParameter
    from flyteidl2.task.task_definition_pb2 import TaskSpec

    from tasksdk.types.engine import TypeEngine
    from tasksdk.types.raw_data import RawData

    spec, interface = TaskSpec(task_template=template, short_name=task.short_name), task.native_interface
    below = RawData(f"{folder}/deployed")
    for name, default in interface.defaults.items():
        kind = interface.inputs[name]
        literal = message(to_literal(default, kind, f"{task.name}: default of {name}", below))
        variable = Variable(type=TypeEngine.to_literal_type(kind), description=name)
        parameter = Parameter(var=variable, default=literal)
        spec.default_inputs.append(NamedParameter(name=name, parameter=parameter))
    return spec


def deployed(spec: TaskSpec) -> DeployedTask | DeployedContainer:
    """The task of a spec: of a container as it is, or of code that is found elsewhere."""
    if container_of(spec.task_template).data_config.enabled:
        return DeployedContainer(spec)
    return DeployedTask(spec)


def _interface(spec: TaskSpec) -> NativeInterface:
    interface = native_interface_of(spec.task_template.interface)
    for default in spec.default_inputs:
        literal = default.parameter.default.SerializeToString(deterministic=True)
        interface.defaults[default.name] = to_value(literal, interface.inputs[default.name], default.name)
    return interface


class DeployedContainer(ContainerTask):
    """A container task from its template."""

    def __init__(self, spec: TaskSpec) -> None:
        template, interface = spec.task_template, _interface(spec)
        container = container_of(template)
        loading = container.data_config
        settings = {**settings_of(template), "short_name": spec.short_name or None}
        super().__init__(
            template.id.name,
            settings.pop("image"),
            list(container.command),
            interface.inputs,
            list(container.args),
            interface.outputs,
            loading.input_path,
            loading.output_path,
            loading.LiteralMapFormat.Name(loading.format),  # type: ignore[arg-type] # the names are the formats
            task_type=template.type,
            **settings,
        )
        self.version = template.id.version


class DeployedTask(Task):
    """A task from its template; called here, it is found by the arguments that a container would get."""

    is_awaited = True

    def __init__(self, spec: TaskSpec) -> None:
        template = spec.task_template
        super().__init__(
            template.type,
            template.id.name,
            template.interface,
            task_type_version=template.task_type_version,
            short_name=spec.short_name or None,
            **settings_of(template),
        )
        self.template = template
        self._native = _interface(spec)

    @property
    def native_interface(self) -> NativeInterface:
        """The types that the typed ones most likely came from, and the defaults."""
        return self._native

    @property
    def version(self) -> str:
        """The version it was deployed under."""
        return str(self.template.id.version)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Find the task's code here and call it as it is.

        Raises:
            TaskNotFoundError: its code is not on this machine.
        """
        return self._found().forward(**self._native.bind(args, kwargs, self.name))

    def execute(self, **kwargs: Any) -> Any:
        """Find the task's code here and run it, a coroutine function to its end."""
        from tasksdk.types.waiting import finished

        value = self._found().forward(**kwargs)
        return finished(value) if hasattr(value, "__await__") else value

    def _found(self) -> Task:
        from tasksdk.task.locate import find

        args = list(container_of(self.template).args)
        if "--resolver" not in args:
            raise TaskNotFoundError(f"task {self.name} is a container and can only run on an engine")
        at = args.index("--resolver")
        if args[at + 3] == TEMPLATE_PATH:
            from tasksdk.task.customized_container import ExecutableTemplateTask

            return ExecutableTemplateTask(self.template, find(args[at + 4], "executor"))
        loaded: Task = find(args[at + 1], "resolver").load_task(args[at + 3 :])
        return loaded

    def to_template(self, sctx: SerializationContext | None = None) -> TaskTemplateMessage:
        """The template, with the paths of a submission where it has places for them."""
        sctx = sctx or SerializationContext()
        paths = {
            "{{.input}}": sctx.input_path,
            "{{.outputPrefix}}": sctx.output_path,
            "{{.rawOutputDataPrefix}}": sctx.raw_data_path,
        }
        template = type(self.template).FromString(self.template.SerializeToString())
        args = [paths.get(arg, arg) for arg in container_of(template).args]
        if args[:1] == [EXECUTOR]:
            bundle = [] if sctx.code_bundle is None else sctx.code_bundle.arguments()
            at = args.index("--resolver")
            args = [*sctx.executor, *args[1:at], *bundle, *args[at:]]
        set_arguments(template, args)
        return template


class LazyEntity:
    """Stands for a task that was deployed: fetched once, when it is called or looked at."""

    def __init__(self, name: str, fetch: Callable[[], DeployedTask | DeployedContainer]) -> None:
        self._name = name
        self._fetch = fetch
        self._task: DeployedTask | DeployedContainer | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The full name of the task; known without fetching it."""
        return self._name

    def fetch(self) -> DeployedTask | DeployedContainer:
        """The task itself."""
        with self._lock:
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
