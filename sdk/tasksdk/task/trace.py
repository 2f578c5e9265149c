"""Functions that are recorded as steps of a task, and run where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from tasksdk.context.current import current
from tasksdk.interface import COROUTINE_FLAG, NativeInterface
from tasksdk.task.function import FunctionTask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_GENERATOR_FLAG, _ASYNC_GENERATOR_FLAG = 0x20, 0x200  # inspect.CO_GENERATOR, inspect.CO_ASYNC_GENERATOR


class Traced(FunctionTask):
    """A function whose calls in a task are actions of the run; outside of one, the plain function.

    A generator is one action, too: its output is the list of what it gave.
    """

    @property
    def native_interface(self) -> NativeInterface:
        """That of the function; a generator's output is a list."""
        if self._native is None:
            found = super().native_interface
            if self._flags & (_GENERATOR_FLAG | _ASYNC_GENERATOR_FLAG):
                item = (*(kind for hint in found.outputs.values() for kind in get_args(hint)), Any)[0]
                found.outputs = {"o0": list[item]}  # type: ignore[valid-type] # a type made at run time
        return super().native_interface

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function, or an asynchronous generator."""
        return bool(self._flags & (COROUTINE_FLAG | _ASYNC_GENERATOR_FLAG))

    @property
    def _flags(self) -> int:
        return self.func.__code__.co_flags

    def execute(self, **kwargs: Any) -> Any:
        """Call the function; a generator is run to its end."""
        made = super().execute(**kwargs)
        return list(made) if self._flags & _GENERATOR_FLAG else made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here, and record it."""
        controller = current().controller
        if controller is None:
            return self.forward(*args, **kwargs)
        if self._flags & _ASYNC_GENERATOR_FLAG:
            return _streamed(self, args, kwargs)
        value = controller.trace(self, args, kwargs)
        return iter(value) if self._flags & _GENERATOR_FLAG else value


async def _streamed(task: Traced, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncIterator[Any]:
    """What an asynchronous generator gives, each when it is asked for; what was recorded, where it ran before."""
    import asyncio

    controller = current().controller
    assert controller is not None
    items: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    async def body(**values: Any) -> list[Any]:
        given = []
        async for item in task.func(**values):
            given.append(item)
            items.put_nowait((item,))
            await items.join()
        return given

    once = task.override()
    once.__dict__["execute"] = body
    running = asyncio.ensure_future(controller.trace(once, args, kwargs))
    running.add_done_callback(lambda _: items.put_nowait(()))
    count = 0
    try:
        while item := await items.get():
            count += 1
            yield item[0]
            items.task_done()
        for kept in (await running)[count:]:
            yield kept
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait({running})


def trace(func: Callable[..., Any]) -> Traced:
    """Record a function's calls: their inputs, outputs and times; a recovered run takes their results over."""
    return Traced(func, task_type="trace")
