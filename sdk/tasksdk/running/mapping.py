"""`map`: one task over many inputs, at once."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from tasksdk.context.current import current
from tasksdk.context.group import group
from tasksdk.errors import TaskInputError, UserInputError
from tasksdk.task.base import Task
from tasksdk.types.waiting import finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator


class Mapper:
    """`map(task, xs, ys)` gives the task's values for each x and its y, in their order.

    Inputs that are the same for all are given by `functools.partial(task, name=value)`. An exception takes the place of
    its value, unless `return_exceptions=False`; `concurrency` is the most calls at once, 0 is no bound.
    """

    def __call__(
        self,
        func: Task | partial[Any],
        *args: Iterable[Any],
        group_name: str | None = None,
        concurrency: int = 0,
        return_exceptions: bool = True,
    ) -> Iterator[Any]:
        """The values, each when it and those before it are there; outside of a task one call after another."""
        task, calls = _calls(func, args, concurrency)
        if current().controller is None:
            return (_value(task, call, return_exceptions) for call in calls)
        futures: list[Future[Any]] = [Future() for _ in calls]
        with group(group_name or f"map-{task.short_name}"):
            context = copy_context()
        ends: list[Callable[[], object]] = []
        work = partial(_settle, task, calls, futures, concurrency, ends)
        thread = threading.Thread(target=context.run, args=(_run, work, futures), name="tasksdk-map", daemon=True)
        thread.start()
        return _told(futures, ends, thread, return_exceptions)

    async def aio(
        self,
        func: Task | partial[Any],
        *args: Iterable[Any],
        group_name: str | None = None,
        concurrency: int = 0,
        return_exceptions: bool = True,
    ) -> AsyncIterator[Any]:
        """The same for `async for`; calls that have not ended are cancelled with the iteration."""
        import asyncio

        task, calls = _calls(func, args, concurrency)
        with group(group_name or f"map-{task.short_name}"):
            running = [asyncio.ensure_future(call) for call in _limited(task, calls, concurrency)]
        try:
            for each in running:
                await asyncio.wait({each})
                error = each.exception()
                if error is not None and not return_exceptions:
                    raise error
                yield each.result() if error is None else error
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def _calls(
    func: Task | partial[Any], iterables: tuple[Iterable[Any], ...], concurrency: int
) -> tuple[Task, list[dict[str, Any]]]:
    """The task, and the inputs of each call by name.

    Raises:
        TaskInputError: the inputs are not the task's.
    """
    task = func.func if isinstance(func, partial) else func
    if not isinstance(task, Task):
        raise UserInputError(f"map: {task!r} is not a task", hint="decorate the function with @env.task")
    given: object = concurrency
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise UserInputError(f"map: concurrency {given!r} is not a number of calls", hint="write concurrency=10")
    fixed, named = (func.args, func.keywords) if isinstance(func, partial) else ((), {})
    if fixed:
        raise TaskInputError(
            f"map: {task.name} has inputs fixed by their place", hint="name them: functools.partial(task, name=value)"
        )
    if not iterables:
        raise TaskInputError(f"map: {task.name} is given no inputs", hint="write map(task, [1, 2, 3])")
    interface = task.native_interface
    return task, [interface.bind(each, named, task.name) for each in zip(*iterables, strict=False)]


def _value(task: Task, call: dict[str, Any], return_exceptions: bool) -> Any:
    try:
        value = task.forward(**call)
        return finished(value) if task.is_async else value
    except Exception as error:
        if return_exceptions:
            return error
        raise


def _told(
    futures: list[Future[Any]],
    ends: list[Callable[[], object]],
    thread: threading.Thread,
    return_exceptions: bool,
) -> Iterator[Any]:
    try:
        for future in futures:
            error = future.exception()
            if error is not None and not (return_exceptions and isinstance(error, Exception)):
                raise error
            yield future.result() if error is None else error
    finally:
        # Whoever looks no further needs no further value.
        if not all(future.done() for future in futures):
            for end in ends:
                end()
        thread.join()


def _limited(task: Task, calls: list[dict[str, Any]], concurrency: int) -> Iterator[Awaitable[Any]]:
    import asyncio

    places = asyncio.Semaphore(concurrency) if concurrency else None

    async def one(call: dict[str, Any]) -> Any:
        if places is None:
            return await task.aio(**call)
        async with places:
            return await task.aio(**call)

    return (one(call) for call in calls)


async def _settle(
    task: Task,
    calls: list[dict[str, Any]],
    futures: list[Future[Any]],
    concurrency: int,
    ends: list[Callable[[], object]],
) -> None:
    import asyncio

    async def each(call: Awaitable[Any], future: Future[Any]) -> None:
        try:
            future.set_result(await call)
        except BaseException as error:  # noqa: BLE001 - raised where the value is asked for
            future.set_exception(error)

    running = [
        asyncio.ensure_future(each(call, future))
        for call, future in zip(_limited(task, calls, concurrency), futures, strict=True)
    ]
    loop = asyncio.get_running_loop()
    ends.extend(partial(loop.call_soon_threadsafe, one.cancel) for one in running)
    await asyncio.gather(*running)


def _run(work: Callable[[], Any], futures: list[Future[Any]]) -> None:
    """Run the calls on a loop of this thread; whatever ends it ends what waits, too."""
    import asyncio

    try:
        asyncio.run(work())
    except BaseException as error:  # noqa: BLE001 - as above
        for future in futures:
            if not future.done():
                future.set_exception(error)


map = Mapper()  # noqa: A001 - the API's word
