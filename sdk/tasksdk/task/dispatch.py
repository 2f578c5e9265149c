"""The one way a task runs on literals: in this process, in a container, behind a shim."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from tasksdk.context.current import Context
from tasksdk.errors import TaskInputError
from tasksdk.literals import (
    Literals,
    check_size,
    from_map_message,
    map_message,
    to_literal,
    to_literal_aio,
    to_value,
    to_value_aio,
)
from tasksdk.wire import write_map

if TYPE_CHECKING:
    from flyteidl2.core.literals_pb2 import LiteralMap

    from tasksdk.context.current import TaskContext
    from tasksdk.interface import NativeInterface
    from tasksdk.task.base import Task

T = TypeVar("T")
_asynchronous: ContextVar[bool] = ContextVar("tasksdk_asynchronous", default=True)


async def dispatch(task: Task, context: Context, literals: Literals) -> Literals:
    """Prepare, convert the inputs, run the body, convert the outputs.

    `pre_execute` and `post_execute` stand around everything; `pre` and `post` around the body alone. Nothing is awaited
    for a task that is not asynchronous, so that it runs without an event loop.

    Raises:
        TaskInputError: an input is missing or surplus.
        IgnoreOutputs: the task says that its outputs are to be ignored.
    """
    params = task.pre_execute(context.data.task_context)
    with context.new(task_context=params):
        interface = task.native_interface
        if params is not None and task.report:
            return await _with_page(task, interface, literals, params)
        kwargs = await _inputs(task, interface, literals, params)
        value = await run_body(task, params, kwargs)
        value = task.post_execute(params, value)
        return await _outputs(task, interface.name_outputs(value, task.name), params)


async def _with_page(task: Task, interface: NativeInterface, literals: Literals, params: TaskContext) -> Literals:
    """The same, with the parts of the page that the task asks for."""
    from time import perf_counter

    from tasksdk.task.deck import after_body, before_body

    times = [perf_counter()]
    kwargs = await _inputs(task, interface, literals, params)
    before_body(task, params.report, kwargs)
    times.append(perf_counter())
    value = task.post_execute(params, await run_body(task, params, kwargs))
    times.append(perf_counter())
    named = interface.name_outputs(value, task.name)
    found = await _outputs(task, named, params)
    times.append(perf_counter())
    steps = zip(("inputs", "body", "outputs"), times, times[1:], strict=False)
    after_body(task, params.report, {name: end - start for name, start, end in steps}, named)
    return found


async def run_body(task: Task, params: TaskContext | None, kwargs: dict[str, Any]) -> Any:
    """Call the body between `pre` and `post`; awaitable results are awaited."""
    token = _asynchronous.set(task.is_async)
    try:
        added = await _settled(task.pre(**kwargs))
        if added and params is not None:
            params.data.update(added)
        return await _settled(task.post(await _settled(task.execute(**kwargs))))
    finally:
        _asynchronous.reset(token)


def may_await() -> bool:
    """Whether whoever calls a task here can await it: an event loop runs, and the running task is on it."""
    if not _asynchronous.get():
        return False
    from tasksdk.types.waiting import on_loop

    return on_loop()


async def _settled(value: Any) -> Any:
    while isinstance(value, Awaitable):
        awaited = await value
        if awaited is value:
            # A file or a frame, which may be awaited like the results of its methods, and gives itself.
            break
        value = awaited
    return value


def dispatch_message(
    task: Task, context: Context | None, literal_map: LiteralMap
) -> LiteralMap | Awaitable[LiteralMap]:
    """Run a task on messages; an awaitable for an asynchronous task."""

    async def on_messages() -> LiteralMap:
        return map_message(await dispatch(task, context or Context.current(), from_map_message(literal_map)))

    return on_messages() if task.is_async else drive(on_messages())


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        value: T = finished.value
        return value
    coroutine.close()
    raise RuntimeError("a synchronous task waited for something", "define it with async def")


async def _inputs(
    task: Task, interface: NativeInterface, literals: Literals, params: TaskContext | None
) -> dict[str, Any]:
    surplus = literals.keys() - interface.inputs.keys()
    if surplus:
        known = ", ".join(interface.inputs) or "none"
        raise TaskInputError(f"{task.name} has no input {', '.join(sorted(surplus))}", hint=f"its inputs are: {known}")
    values = {}
    for name, kind in interface.inputs.items():
        where = f"{task.name}: input {name}"
        if name not in literals:
            if name not in interface.defaults:
                raise TaskInputError(f"{task.name} needs its input {name!r}")
            values[name] = interface.defaults[name]
        elif task.is_async:
            values[name] = await to_value_aio(literals[name], kind, where, params)
        else:
            values[name] = to_value(literals[name], kind, where, params)
    return values


async def _outputs(task: Task, named: dict[str, Any], params: TaskContext | None) -> Literals:
    found, kinds = {}, task.native_interface.outputs
    for name, output in named.items():
        kind, where = kinds[name], f"{task.name}: output {name}"
        if task.is_async:
            found[name] = await to_literal_aio(output, kind, where, params)
        else:
            found[name] = to_literal(output, kind, where, params)
    check_size(task, write_map(found), "outputs")
    return found
