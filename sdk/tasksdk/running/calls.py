"""One call of a task in a run: its name, its record, the cache, its attempts."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from tasksdk.context.checkpoint import Checkpoint
from tasksdk.context.current import ActionID, TaskContext, current
from tasksdk.errors import TaskAbortedError, TaskError, TaskTimeoutError, UserInputError
from tasksdk.literals import Literals, check_size, to_literal, to_literal_aio, to_value, to_value_aio
from tasksdk.running.kept import CacheKeys
from tasksdk.running.phases import ABORTED, FAILED, SUCCEEDED, TIMED_OUT
from tasksdk.store.rows import ActionRow
from tasksdk.task.code_version import version_of
from tasksdk.values.retry import LONGEST
from tasksdk.wire import read_map, write_map

if TYPE_CHECKING:
    from tasksdk.running.body import Body
    from tasksdk.running.run_state import RunState
    from tasksdk.store.database import Database
    from tasksdk.task.base import Task
    from tasksdk.values.cache import Cache

_TURN_LOOK = 0.01
_keys = CacheKeys()


async def perform(state: RunState, body: Body, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a task as an action of the run and give its value, as a direct call would.

    Nothing is awaited that the body does not wait for: a synchronous body needs no event loop.
    """
    task.warn_when_deprecated()
    caller = current().task_context
    carrier = caller or _carrier(state)
    literals = await literals_of(task, args, kwargs, carrier, waits=body.waits)
    outputs = await Call(state, body, task, literals, caller).outputs()
    return await value_of(task, outputs, carrier, waits=body.waits)


async def literals_of(
    task: Task, args: tuple[Any, ...], kwargs: dict[str, Any], carrier: TaskContext, *, waits: bool
) -> Literals:
    """The inputs of a call; `waits` says whether it is made on an event loop."""
    interface = task.native_interface
    literals: Literals = {}
    values = interface.bind(args, kwargs, task.name)
    for name, kind in interface.inputs.items():
        where = f"{task.name}: input {name}"
        if waits:
            literals[name] = await to_literal_aio(values[name], kind, where, carrier)
        else:
            literals[name] = to_literal(values[name], kind, where, carrier)
    return literals


async def value_of(task: Task, outputs: Literals | None, carrier: TaskContext, *, waits: bool) -> Any:
    """Outputs as a caller of the task gets them; None where they were ignored."""
    interface = task.native_interface
    if outputs is None:
        return interface.join_outputs(dict.fromkeys(interface.outputs))
    named = {}
    for name, kind in interface.outputs.items():
        where = f"{task.name}: output {name}"
        if waits:
            named[name] = await to_value_aio(outputs[name], kind, where, carrier)
        else:
            named[name] = to_value(outputs[name], kind, where, carrier)
    return interface.join_outputs(named)


class Call:
    """One action: found done, found kept, or attempted."""

    __slots__ = ("body", "caller", "literals", "row", "state", "task")

    def __init__(self, state: RunState, body: Body, task: Task, literals: Literals, caller: TaskContext | None) -> None:
        self.state = state
        self.body = body
        self.task = state.changed(task)
        self.literals = literals
        self.caller = caller
        inputs = write_map(literals)
        check_size(task, inputs, "inputs")
        parent = None if caller is None else caller.action.name
        group = None if caller is None or caller.group_data is None else caller.group_data.name
        name = state.names.next(parent, task.name, inputs)
        self.row = ActionRow(
            run=state.name, name=name, parent=parent, task=task.name, group=group, started=time.time(), inputs=inputs
        )

    async def outputs(self) -> Literals | None:
        """The outputs, whatever they come from; None where they are to be ignored."""
        state, row = self.state, self.row
        done = state.done.get(row.name)
        if done is not None and done.inputs == row.inputs and done.task == row.task:
            return None if done.outputs is None else read_map(done.outputs)
        cache = self.task.cache
        try:
            if cache.enabled and state.keeps and state.database is not None:
                outputs = await self._kept(state.database, cache)
            else:
                outputs = await self._attempts()
        except BaseException as error:
            row.phase, row.error = _phase_of(error), state.masked(self.task, describe(error))
            raise
        else:
            row.phase = SUCCEEDED
            row.outputs = None if outputs is None else write_map(outputs)
            return outputs
        finally:
            row.ended = time.time()
            state.live.pop(row.name, None)
            state.put(row)

    async def _kept(self, database: Database, cache: Cache) -> Literals | None:
        key = _keys.key(self.task, cache, self.literals)
        found = self._look_up(database, key)
        if found is not None:
            return found
        if not cache.serialize:
            return await self._and_keep(database, key)
        from tasksdk.store.turns import Turn

        turn = Turn(database.folder, key)
        while not turn.try_enter():
            await self.body.wait(_TURN_LOOK)
        try:
            found = self._look_up(database, key)
            return await self._and_keep(database, key) if found is None else found
        finally:
            turn.leave()

    def _look_up(self, database: Database, key: bytes) -> Literals | None:
        found = None if self.state.recompute else database.result(key)
        if found is None:
            return None
        self.row.cached = 1
        return read_map(found)

    async def _and_keep(self, database: Database, key: bytes) -> Literals | None:
        outputs = await self._attempts()
        if outputs is not None:
            database.keep_result(key, write_map(outputs))
        return outputs

    async def _attempts(self) -> Literals | None:
        retries, row = self.task.retries, self.row
        self.state.put(row)
        while True:
            task = self._bounded()
            row.attempts += 1
            context = context_of(self.state, self.task, row, self.caller)
            self.state.live[row.name] = context
            try:
                return await self.body.run(task, context, self.literals)
            except Exception as error:
                if row.attempts > retries.count or not may_retry(error):
                    raise
            await self.body.wait(min(retries.delay(row.attempts), self._left() or LONGEST))

    def _left(self) -> float | None:
        """What is left of the deadline in seconds; None where there is none."""
        deadline = self.task.timeout.deadline_seconds
        return None if deadline is None else max(0.0, self.row.started + deadline - time.time())

    def _bounded(self) -> Task:
        """The task, with what is left of its deadline for a bound.

        Raises:
            TaskTimeoutError: nothing is left.
        """
        left = self._left()
        if left is None:
            return self.task
        if left == 0.0:
            bound = self.task.timeout.deadline_seconds
            text = f"task {self.task.name} had not ended {bound:g} s after it was called"
            raise TaskTimeoutError(text, code="Timeout")
        return self.task.override(timeout=self.task.timeout.within(left))


def may_retry(error: Exception) -> bool:
    """Whether another attempt may help."""
    if isinstance(error, (UserInputError, TaskAbortedError)):
        return False
    return not (isinstance(error, TaskError) and not error.recoverable)


def context_of(state: RunState, task: Task, row: ActionRow, caller: TaskContext | None) -> TaskContext:
    """What the attempt may know about itself; the folders are made by whoever writes into them."""
    folder = f"{state.folder}/{row.name}"
    previous = f"{folder}/checkpoint-{row.attempts - 1}" if row.attempts > 1 else None
    return TaskContext(
        action=ActionID(row.name, state.name, row.attempts),
        version=state.version or partial(version_of, task),
        raw_data=f"{state.raw_data}/{row.name}/data",
        input_path=f"{folder}/inputs.pb",
        output_path=f"{folder}/{row.attempts}",
        run_base_dir=state.folder,
        checkpoint=Checkpoint(f"{folder}/checkpoint-{row.attempts}", previous),
        code_bundle=state.code_bundle,
        compiled_image_cache=state.images,
        mode=state.mode,
        task_name=task.name,
        group_data=None if caller is None else caller.group_data,
        custom_context=state.custom_context if caller is None else caller.custom_context,
    )


def _carrier(state: RunState) -> TaskContext:
    return TaskContext(action=ActionID("", state.name), raw_data=f"{state.raw_data}/inputs", run_base_dir=state.folder)


def _phase_of(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and isinstance(error, TaskError):
        return TIMED_OUT
    return FAILED if isinstance(error, Exception) and not isinstance(error, TaskAbortedError) else ABORTED


def describe(error: BaseException) -> str:
    """An error as text, with the traceback of the user's code."""
    from tasksdk.task.traceback import user_traceback

    return user_traceback(error)
