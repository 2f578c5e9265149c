"""`run` and `with_runcontext`: where a task is run, and under which name."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal

from tasksdk.context.current import Context, ContextData
from tasksdk.context.custom import get_custom_context
from tasksdk.errors import StoreError, TaskAbortedError, UserInputError
from tasksdk.running.given import given
from tasksdk.running.local_controller import LocalController
from tasksdk.running.names import check_run_name, new_run_name
from tasksdk.running.run import Run
from tasksdk.running.run_state import RunState
from tasksdk.store.database import database
from tasksdk.store.rows import RunRow
from tasksdk.store.turns import Turn
from tasksdk.task.base import Task
from tasksdk.task.deployed import LazyEntity
from tasksdk.values.settings import TaskSettings

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from tasksdk.context.current import Mode
    from tasksdk.engines.port import Engine
    from tasksdk.running.remote_controller import RemoteController

_MODES = ("local", "remote", "hybrid")
_OPTIONS = (
    *("mode", "name", "engine", "version", "overwrite_cache", "disable_run_cache", "run_base_dir", "raw_data_path"),
    *("env_vars", "queue", "interruptible", "custom_context"),
)


class RunMethod:
    """`run(task, ...)`, and `run.aio(task, ...)` to await it."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def __call__(self, task: Task | LazyEntity, /, *args: Any, **kwargs: Any) -> Run:
        """Run a task on these inputs; a local run has ended when this returns, and raised what the task raised."""
        return self._runner.start(_task_of(task), args, kwargs)

    async def aio(self, task: Task | LazyEntity, /, *args: Any, **kwargs: Any) -> Run:
        """The same, without holding up the event loop."""
        return await self._runner.start_aio(_task_of(task), args, kwargs)


class Runner:
    """Runs tasks in one mode, with one set of options."""

    def __init__(
        self,
        mode: Mode | None = None,
        name: str | None = None,
        engine: str | Engine | None = None,
        *,
        version: str = "",
        overwrite_cache: bool = False,
        disable_run_cache: bool = False,
        run_base_dir: str | None = None,
        raw_data_path: str | None = None,
        env_vars: Mapping[str, str] | None = None,
        queue: str | None = None,
        interruptible: bool | None = None,
        custom_context: Mapping[str, str] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise UserInputError(
                f"with_runcontext has no option {', '.join(sorted(unknown))}", hint=f"there are: {', '.join(_OPTIONS)}"
            )
        if mode is not None and mode not in _MODES:
            raise UserInputError(f"{mode!r} is not a mode", hint='write mode="local", "remote" or "hybrid"')
        self.mode: Literal["local", "remote", "hybrid"] = mode or "local"
        self.name = None if name is None else check_run_name(name)
        self.engine = engine
        self.version = version
        self.overwrite_cache = overwrite_cache
        self.keeps = not disable_run_cache
        self.run_base_dir = run_base_dir
        self.raw_data_path = raw_data_path
        self.changes = TaskSettings(env_vars=env_vars, queue=queue, interruptible=interruptible)
        self.custom_context = dict(custom_context or {})
        self.run = RunMethod(self)

    def start(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
        """Start a run of the task."""
        args, kwargs = (), given(task, args, kwargs)
        state = self._state(task)
        if self.mode == "remote":
            return self._start_remote(state, task, args, kwargs)
        future: Future[Any] = Future()
        try:
            controller = self._here(state)
            with Context(ContextData(None, controller)):
                value = controller.call(task, args, kwargs)
                future.set_result(_finish(value) if task.is_async else value)
        finally:
            _end(state, task)
        return Run(state, task, future)

    async def start_aio(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
        """Start a run of the task on this event loop."""
        args, kwargs = (), given(task, args, kwargs)
        state = self._state(task)
        if self.mode == "remote":
            return self._start_remote(state, task, args, kwargs)
        future: Future[Any] = Future()
        try:
            controller = self._here(state)
            with Context(ContextData(None, controller)):
                future.set_result(await controller.call_aio(task, args, kwargs))
        finally:
            _end(state, task)
        return Run(state, task, future)

    def _here(self, state: RunState) -> LocalController:
        """A controller that runs the first task here, and in hybrid mode those that it calls on the engine."""
        return LocalController(state, self._there(state) if self.mode == "hybrid" else None)

    def _there(self, state: RunState) -> RemoteController:
        from tasksdk.configuration import configuration
        from tasksdk.running.engine_body import EngineBody
        from tasksdk.running.engine_loop import engine_loop
        from tasksdk.running.images import Images
        from tasksdk.running.remote_controller import RemoteController

        loop = engine_loop()
        body = EngineBody(loop.engine(self.engine), state, Images(), str(configuration().root))
        return RemoteController(state, body, loop)

    def _start_remote(self, state: RunState, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
        from tasksdk.running.engine_loop import engine_loop

        try:
            controller = self._there(state)
            with Context(ContextData()):
                future = controller.start(task, args, kwargs).future
        except BaseException:
            _end(state, task)
            raise
        ended: Future[Any] = Future()
        engine_loop().follow(state.name, ended, controller.abort)
        future.add_done_callback(lambda done: _settle(done, ended, state, task))
        return Run(state, task, ended, controller.abort)

    def _state(self, task: Task) -> RunState:
        store = database()
        name = self.name or new_run_name()
        folder = f"{self.run_base_dir or store.folder + '/runs'}/{name}"
        state = RunState(
            name,
            folder,
            self.mode,
            store,
            version=self.version,
            recompute=self.overwrite_cache,
            keeps=self.keeps,
            raw_data=self.raw_data_path and f"{self.raw_data_path.rstrip('/')}/{name}",
            changes=self.changes,
            custom_context={**get_custom_context(), **self.custom_context},
        )
        if self.name is not None:
            state.turn = _turn(store.folder, name)
            state.recover()
        store.put_run(RunRow(name, task.name, self.mode, "running", time.time()))
        return state


def _turn(folder: str, name: str) -> Turn:
    """The name for this run alone: two at once would take each other's attempts for their own."""
    turn = Turn(folder, f"run {name}".encode())
    if not turn.try_enter():
        raise UserInputError(
            f"run {name!r} is running already, here or in another process",
            hint="wait for its end, or give this one another name",
        )
    return turn


def _task_of(given: object) -> Task:
    """The task, which a deployed one is fetched for."""
    if isinstance(given, LazyEntity):
        return given.fetch()
    if isinstance(given, Task):
        return given
    raise UserInputError(f"{given!r} is not a task", hint="decorate the function with @env.task")


def _settle(done: Future[Any], ended: Future[Any], state: RunState, task: Task) -> None:
    """Record the end of a remote run, then let whoever waits go on."""
    error = done.exception()
    try:
        _end(state, task, error)
    except StoreError as unrecorded:
        error = error or unrecorded
    if error is not None:
        ended.set_exception(error)
    else:
        ended.set_result(done.result())


def _end(state: RunState, task: Task, error: BaseException | None = None) -> None:
    try:
        _record_end(state, task, error)
    finally:
        if state.turn is not None:
            state.turn.leave()


def _record_end(state: RunState, task: Task, error: BaseException | None) -> None:
    store = state.database
    assert store is not None
    store.end_actions(state.name)
    first = next((row for row in store.actions(state.name) if row.parent is None), None)
    row = store.run(state.name)
    before_it_began = "aborted" if isinstance(error, TaskAbortedError) else "failed"
    phase = before_it_began if first is None else first.phase
    started = time.time() if row is None else row.started
    store.put_run(RunRow(state.name, task.name, state.mode, phase, started, time.time()))


def _finish(value: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end: on an event loop of this thread, or of another where this one has one already."""
    import asyncio
    from contextvars import copy_context

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(value)
    context, future = copy_context(), Future[Any]()

    def work() -> None:
        try:
            future.set_result(context.run(asyncio.run, value))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            future.set_exception(error)

    threading.Thread(target=work, name="tasksdk-run").start()
    return future.result()


def with_runcontext(
    mode: Mode | None = None,
    name: str | None = None,
    engine: str | Engine | None = None,
    **options: Any,
) -> Runner:
    """A runner with these options: `with_runcontext(mode="remote").run(task, x=1)`.

    A run of the same name as an earlier one takes over what that one has finished. Further options: `version`;
    `overwrite_cache` computes anew and keeps that, `disable_run_cache` looks up and keeps nothing; `run_base_dir` and
    `raw_data_path` say where the run's files and the values' files go; `env_vars`, `queue` and `interruptible` go over
    those of each task; `custom_context` are texts that each task sees.

    Raises:
        UserInputError: there is no such option.
    """
    return Runner(mode, name, engine, **options)


run = Runner().run
