"""The base of all tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tasksdk.context.current import LOCAL_TASK_EXECUTION, Context, current
from tasksdk.errors import TaskDefinitionError, UserInputError
from tasksdk.interface import COROUTINE_FLAG, NativeInterface
from tasksdk.task.configured import Configured, settings_from
from tasksdk.task.templated import Templated
from tasksdk.task.tracked import Tracked

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from flyteidl2.core.interface_pb2 import TypedInterface
    from flyteidl2.core.literals_pb2 import LiteralMap
    from flyteidl2.core.security_pb2 import SecurityContext

    from tasksdk.context.current import TaskContext
    from tasksdk.task.deployed import LazyEntity
    from tasksdk.task.metadata import TaskMetadata
    from tasksdk.task.node import NodeMetadata
    from tasksdk.task.resolver import TaskResolverMixin
    from tasksdk.values.documentation import Documentation
    from tasksdk.values.settings import TaskSettings


class Task(Templated, Configured, Tracked):
    """A unit of work with a name, a type, an interface and settings.

    `interface` is the typed message, or a native one. `metadata` and `security_ctx` are other spellings of the settings
    `cache`, `retries`, `timeout` and `secrets`.
    """

    def __init__(  # noqa: PLR0917 - the documented signature
        self,
        task_type: str,
        name: str,
        interface: TypedInterface | NativeInterface | None = None,
        metadata: TaskMetadata | None = None,
        task_type_version: int = 0,
        security_ctx: SecurityContext | list[Any] | None = None,
        docs: Documentation | None = None,
        **kwargs: Any,
    ) -> None:
        given: object = name
        if not isinstance(given, str) or not given.strip() or not given.isprintable():
            raise TaskDefinitionError(f"{name!r} is not the name of a task", hint='write name="fetch"')
        self.task_type = task_type
        self.name = name
        self.task_type_version = task_type_version
        if metadata is not None:
            kwargs = {**{key: value for key, value in metadata.settings.items() if value is not None}, **kwargs}
        if security_ctx is not None:
            from tasksdk.task.security import secrets_of

            kwargs.setdefault("secrets", secrets_of(security_ctx))
        self.settings: TaskSettings = settings_from({**kwargs, "docs": docs}, f"task {name}")
        self._given_interface = interface

    # Whether the body's work is done by another process, which gets the variables, secrets and bounds itself.
    runs_elsewhere = False
    # Whether an asynchronous caller awaits it, though its body may be no coroutine: it would hold up the event loop.
    is_awaited = False

    # What it takes and gives

    @property
    def native_interface(self) -> NativeInterface:
        """Inputs and outputs as Python knows them; guessed from the typed message where that alone was given."""
        if isinstance(self._given_interface, NativeInterface):
            return self._given_interface
        if self._given_interface is None:
            return NativeInterface()
        from tasksdk.task.guess import native_interface_of

        return native_interface_of(self._given_interface)

    @property
    def python_interface(self) -> NativeInterface | None:
        """The native interface; None where only the typed message is known."""
        return self._given_interface if isinstance(self._given_interface, NativeInterface) else None

    def typed_interface(self) -> TypedInterface:
        """The typed message."""
        if self._given_interface is None or isinstance(self._given_interface, NativeInterface):
            return self.native_interface.to_typed()
        return self._given_interface

    def get_type_for_input_var(self, k: str, v: Any) -> Any:
        """The native type of an input; that of its value where only the typed message is known."""
        interface = self.python_interface
        return type(v) if interface is None else interface.inputs[k]

    def get_type_for_output_var(self, k: str, v: Any) -> Any:
        """The native type of an output; that of its value where only the typed message is known."""
        interface = self.python_interface
        return type(v) if interface is None else interface.outputs[k]

    def get_input_types(self) -> dict[str, Any] | None:
        """The native types of the inputs; None where only the typed message is known."""
        interface = self.python_interface
        return None if interface is None else dict(interface.inputs)

    @property
    def source_file(self) -> str | None:
        """The file that defines it; None where there is none."""
        return None

    @property
    def task_resolver(self) -> TaskResolverMixin:
        """What finds this task again in another process."""
        from tasksdk.task.resolver import default_task_resolver

        return default_task_resolver

    # What it does

    @property
    def is_async(self) -> bool:
        """Whether running it needs an event loop."""
        code = getattr(self.execute, "__code__", None)
        return bool(code is not None and code.co_flags & COROUTINE_FLAG)

    def execute(self, **kwargs: Any) -> Any:
        """Do the work: native values in, native values out; it may be a coroutine function."""
        raise NotImplementedError(f"task {self.name}: {type(self).__name__} does not say what execute does")

    def pre_execute(self, user_params: TaskContext | None) -> TaskContext | None:
        """Before the inputs are converted: the context that the task sees, this one or another."""
        return user_params

    def post_execute(self, user_params: TaskContext | None, rval: Any) -> Any:  # noqa: ARG002 - for subclasses
        """After everything: the task's outputs, these or others."""
        return rval

    def pre(self, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        """Before the body: what is added to the context's data."""
        return {}

    def post(self, return_vals: Any) -> Any:
        """After the body: the task's outputs, these or others."""
        return return_vals

    def dispatch_execute(
        self, ctx: Context | None, input_literal_map: LiteralMap
    ) -> LiteralMap | Awaitable[LiteralMap]:
        """Run the task on literals: the same way in this process and in a container."""
        from tasksdk.task.dispatch import dispatch_message

        return dispatch_message(self, ctx, input_literal_map)

    def sandbox_execute(self, ctx: Context | None, input_literal_map: LiteralMap) -> LiteralMap | Awaitable[LiteralMap]:
        """The same, in the state of a local sandbox."""
        inner = (ctx or Context.current()).new(execution_mode=LOCAL_TASK_EXECUTION)
        return self.dispatch_execute(inner, input_literal_map)

    def local_execution_mode(self) -> str:
        """The state in which `sandbox_execute` runs it."""
        return LOCAL_TASK_EXECUTION

    def local_execute(self, ctx: Context | None, **kwargs: Any) -> Any:
        """Run it here on native values or promises: a promise, a tuple of them, or a `VoidPromise`."""
        from tasksdk.running.local_execute import local_execute

        return local_execute(self, ctx, kwargs)

    def compile(self, ctx: Context, *args: Any, **kwargs: Any) -> Any:
        """Record a call of it in the context's graph: promises of its outputs."""
        from tasksdk.task.node import compile_call

        return compile_call(self, ctx, args, kwargs)

    def construct_node_metadata(self) -> NodeMetadata:
        """What its nodes say about running it."""
        from datetime import timedelta

        from tasksdk.task.node import NodeMetadata

        runtime = self.timeout.runtime_seconds
        return NodeMetadata(
            name=self.name,
            timeout=None if runtime is None else timedelta(seconds=runtime),
            retries=self.retries.count,
            interruptible=self.interruptible,
        )

    # How it is called

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it as an action of the run this is called in; outside of one, the plain function."""
        data = current()
        if data.graph is not None:
            return self.compile(Context.current(), *args, **kwargs)
        if self.is_awaited:
            from tasksdk.task.dispatch import may_await

            if may_await():
                return self.aio(*args, **kwargs)
        if data.controller is None:
            self.warn_when_deprecated()
            return self.forward(*args, **kwargs)
        return data.controller.call(self, args, kwargs)

    def warn_when_deprecated(self) -> None:
        """Pass on what its settings say about that."""
        if self.settings.deprecated:
            import warnings

            warnings.warn(f"task {self.name} is deprecated: {self.settings.deprecated}", FutureWarning, stacklevel=3)

    @staticmethod
    def get(name: str, version: str | None = None, auto_version: Literal["latest"] | None = None) -> LazyEntity:
        """A task that was deployed, of that version or of the one deployed last; nothing is read until it is used.

        Raises:
            UserInputError: `auto_version` is another than "latest", which is what no version means.
        """
        if auto_version not in {None, "latest"}:
            raise UserInputError(f"{auto_version!r} is not a version to choose", hint='write auto_version="latest"')
        from tasksdk.task.deployed import LazyEntity
        from tasksdk.task.deployment import fetch_deployed

        return LazyEntity(name, lambda: fetch_deployed(name, version))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The body alone, on native values: no conversion, no action."""
        return self.execute(**self.native_interface.bind(args, kwargs, self.name))

    async def aio(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, synchronous or not, and await it; what it raises is raised here."""
        data = current()
        if data.controller is not None:
            return await data.controller.call_aio(self, args, kwargs)
        if self.is_async:
            return await self.forward(*args, **kwargs)
        from asyncio import to_thread

        return await to_thread(self.forward, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        from tasksdk.task.pickled import reduced

        return reduced(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


TaskTemplate = Task
