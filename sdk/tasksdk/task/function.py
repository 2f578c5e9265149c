"""Tasks that are a Python function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.interface import COROUTINE_FLAG, NativeInterface, interface_of
from tasksdk.task.python_task import PythonTask
from tasksdk.values.documentation import documentation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flyteidl2.core.tasks_pb2 import Container

    from tasksdk.task.environment import TaskEnvironment
    from tasksdk.task.serialization import SerializationContext


class FunctionTask(PythonTask):
    """Runs `func`, synchronous or not; its interface is read from the annotations when it is first needed."""

    def __init__(
        self,
        func: Callable[..., Any],
        name: str | None = None,
        *,
        parent_env: TaskEnvironment | None = None,
        task_type: str = "python",
        **kwargs: Any,
    ) -> None:
        if kwargs.get("docs") is None:
            kwargs["docs"] = documentation_of(func.__doc__)
        super().__init__(task_type, name or f"{func.__module__}.{func.__qualname__}", **kwargs)
        self.func = func
        self.parent_env = parent_env
        self._native: NativeInterface | None = None
        # What tools read of a decorated function; `functools.wraps` would copy the function's own attributes too.
        self.__wrapped__ = func
        self.__doc__ = func.__doc__
        self.__name__ = func.__name__
        self.__qualname__ = func.__qualname__
        self.__module__ = func.__module__

    @property
    def native_interface(self) -> NativeInterface:
        """Read from the function's annotations."""
        if self._native is None:
            self._native = interface_of(self.func)
        return self._native

    @property
    def python_interface(self) -> NativeInterface:
        """The same as `native_interface`."""
        return self.native_interface

    @property
    def instantiated_in(self) -> str | None:
        """The module of the function."""
        return self.func.__module__

    @property
    def source_file(self) -> str | None:
        """The file of the function."""
        return self.func.__code__.co_filename

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        return bool(self.func.__code__.co_flags & COROUTINE_FLAG)

    def execute(self, **kwargs: Any) -> Any:
        """Call the function."""
        return self.func(**kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, exactly as it is."""
        return self.func(*args, **kwargs)

    def container_args(self, sctx: SerializationContext) -> list[str]:
        """The executor's command that runs this task."""
        from tasksdk.task.command import executor_command

        return executor_command(self, sctx)

    def get_container(self, settings: SerializationContext) -> Container:
        """The task's image, running the executor."""
        from tasksdk.task.template import container_message

        return container_message(self, settings, self.container_args(settings))


AsyncFunctionTaskTemplate = FunctionTask
