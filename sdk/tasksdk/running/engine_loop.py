"""One event loop in a thread of its own, on which all engines of this process work."""

from __future__ import annotations

import asyncio
import atexit
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tasksdk.configuration import configuration
from tasksdk.engines.registry import open_engine
from tasksdk.errors import TaskAbortedError, UserInputError
from tasksdk.running.notice import say_once

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tasksdk.engines.port import Engine


P = ParamSpec("P")
T = TypeVar("T")
_CLOSING = 30.0
_GIVEN = "given "


class Work:
    """Something that the loop does; `future` is done when it has really ended, also after it was cancelled."""

    def __init__(self, work: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
        self.future: Future[Any] = Future()
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        loop.call_soon_threadsafe(self._start, work)

    def cancel(self) -> None:
        """Ask for its end."""
        self._loop.call_soon_threadsafe(self._cancel)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._done)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self.future.set_exception(TaskAbortedError("the run was aborted", code="Aborted", recoverable=False))
        elif (error := task.exception()) is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(task.result())


class _Threads(ThreadPoolExecutor):
    """Threads for what blocks; once the interpreter ends and begins no more threads, it is done where it is asked."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError:
            done: Future[T] = Future()
            try:
                done.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                done.set_exception(error)
            return done


class EngineLoop:
    """Keeps the engines that were opened, by their names; ends what runs and closes them when the process ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_Threads(thread_name_prefix="tasksdk"))
        self._runs: dict[Future[Any], tuple[str, Callable[[str], None]]] = {}
        self.engines: dict[str, Engine] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tasksdk-engines", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def submit(self, work: Coroutine[Any, Any, Any]) -> Work:
        """Start work on the loop, in a copy of this thread's context."""
        return Work(work, self._loop)

    def engine(self, asked: str | Engine | None) -> Engine:
        """The engine of that name, or the configured one."""
        if asked is not None and not isinstance(asked, str):
            with self._lock:
                self.engines.setdefault(f"{_GIVEN}{id(asked)}", asked)
            return asked
        settings = configuration()
        name = asked or settings.engine
        with self._lock:
            if name not in self.engines:
                self.engines[name] = open_engine(name, settings.engines.get(name, {}))
                if not self.engines[name].runs_images:
                    say_once(f"engine {name!r} runs tasks as processes here; their images are not used")
            return self.engines[name]

    def follow(self, name: str, ended: Future[Any], abort: Callable[[str], None]) -> None:
        """Abort a run when this process ends before it."""
        self._runs[ended] = name, abort
        ended.add_done_callback(lambda _: self._runs.pop(ended, None))

    def close(self) -> None:
        """End what runs and close the engines."""
        going = list(self._runs.items())
        for _, (_, abort) in going:
            abort("the process that started it has ended")
        for ended, (name, _) in going:
            with suppress(Exception):
                ended.result(_CLOSING)
            say_once(f"run {name} was aborted, because this process ended before it; run.wait() waits for its end")
        with self._lock:
            engines, self.engines = list(self.engines.values()), {}
        for engine in engines:
            self.submit(engine.close()).future.result(_CLOSING)


_made: list[EngineLoop] = []
_making = threading.Lock()


def reopened(engine: Engine) -> tuple[EngineLoop, Engine]:
    """A loop and an engine of its own for a child of this process, where neither goes on.

    Raises:
        UserInputError: the engine was made by the user, and is known by no name.
    """
    outer = _made.pop()
    name = next(known for known, opened in outer.engines.items() if opened is engine)
    if name.startswith(_GIVEN):
        raise UserInputError(
            f"engine {engine.name} was given as an object, which a task with a timeout cannot use",
            hint=f'write engine="{engine.name}", or leave the timeout away',
        )
    loop = EngineLoop()
    # The lock around making one may be held by a thread that is not here.
    _made.append(loop)
    loop.engines[name] = open_engine(name, configuration().engines.get(name, {}))
    return loop, loop.engines[name]


def engine_loop() -> EngineLoop:
    """The loop, made when it is first needed."""
    with _making:
        if not _made:
            _made.append(EngineLoop())
        return _made[0]
