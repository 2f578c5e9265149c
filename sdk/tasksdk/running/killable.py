"""Runs the body of a task in a child of this process, where it can be ended whatever it does."""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasksdk.errors import IgnoreOutputs, TaskError, TaskTimeoutError
from tasksdk.task.dispatch import drive
from tasksdk.task.traceback import user_traceback

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from tasksdk.context.current import Context
    from tasksdk.literals import Literals

    Work = Callable[[], Coroutine[Any, Any, Literals]]

_HEAD = 8
# In the place of a length: it was cancelled, and ends what it has begun.
_ENDING = bytes(_HEAD)
# Seconds that an event loop may take to notice that its time is over, and a coroutine to end after that.
_NOTICE = 1.0
_CLEARING = 30.0
_PDEATHSIG = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>


def run_killable(bound: float, name: str, inner: Context, work: Work) -> Literals:
    """Run work that never waits; the child and all it started are gone afterwards.

    Raises whatever the task raised, where that can be sent between processes, else a `TaskError` that says it.
    """
    child = _Child(bound, name, inner, lambda _end: drive(work()))
    try:
        while child.left > 0 and select.select([child.pipe], [], [], child.left)[0] and not child.listen():
            pass
    finally:
        child.bury()
    return child.outcome()


async def run_killable_aio(bound: float, name: str, inner: Context, work: Work) -> Literals:
    """Run a coroutine on an event loop of the child's own: cancelled when it is late, killed where it never waits."""
    import asyncio

    child = _Child(bound, name, inner, lambda ending: _on_loop(bound, name, work, ending), notice=_NOTICE)
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(child.pipe, lambda: told.set() if child.listen() else None)
    try:
        await _until(told, child)
    except asyncio.CancelledError:
        child.ask()
        await _until(told, child)
        raise
    finally:
        loop.remove_reader(child.pipe)
        child.bury()
    return child.outcome()


async def _until(told: asyncio.Event, child: _Child) -> None:
    import asyncio

    while not told.is_set() and child.left > 0:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(told.wait(), child.left)


def _on_loop(bound: float, name: str, work: Work, ending: Callable[[], None]) -> Literals:
    """In the child. The loop is not closed, which would wait for threads that the task left behind."""
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(_in_time(bound, name, work, ending))


async def _in_time(bound: float, name: str, work: Work, ending: Callable[[], None]) -> Literals:
    """The outputs, unless time runs out or the parent asks for an end."""
    import asyncio

    loop, working, expired = asyncio.get_running_loop(), asyncio.ensure_future(work()), False

    def end() -> None:
        ending()
        working.cancel()

    def expire() -> None:
        nonlocal expired
        expired = True
        end()

    loop.add_signal_handler(signal.SIGTERM, end)
    late = loop.call_later(bound, expire)
    await asyncio.wait({working})
    late.cancel()
    if expired:
        raise _late(name, bound)
    return working.result()


class _Child:
    """The process, and what it has told so far."""

    def __init__(
        self,
        bound: float,
        name: str,
        inner: Context,
        work: Callable[[Callable[[], None]], Literals],
        *,
        notice: float = 0,
    ) -> None:
        self._name = name
        self._bound = bound
        self._deadline, parent = time.monotonic() + bound + notice, os.getpid()
        self._told, self._silent, self._status = bytearray(), False, 0
        self.pipe, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            # Other threads of this process do not go on in the child, which touches none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if self._pid == 0:
            os.close(self.pipe)
            _in_child(parent, writing, inner, lambda: work(lambda: _write(writing, _ENDING)))
        os.close(writing)

    @property
    def left(self) -> float:
        """How many seconds it may go on."""
        return self._deadline - time.monotonic()

    def ask(self) -> None:
        """Ask it to end, as one that is late."""
        self._deadline = min(self._deadline, time.monotonic() + _NOTICE)
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)

    def listen(self) -> bool:
        """Take what it tells now; whether that is all.

        The answer's length stands before it: a process that the task left behind may hold the pipe open.
        """
        part = os.read(self.pipe, 1 << 20)
        self._silent = not part
        self._told += part
        while self._told.startswith(_ENDING):
            del self._told[:_HEAD]
            self._deadline = time.monotonic() + _CLEARING
        return self._silent or self._complete

    @property
    def _complete(self) -> bool:
        return len(self._told) >= _HEAD and len(self._told) >= _HEAD + int.from_bytes(self._told[:_HEAD], "big")

    def bury(self) -> None:
        """End it; as it leads a session of its own, whatever it left behind ends, too."""
        os.close(self.pipe)
        for end in (os.killpg, os.kill):
            with suppress(ProcessLookupError):
                end(self._pid, signal.SIGKILL)
        _, self._status = os.waitpid(self._pid, 0)

    def outcome(self) -> Literals:
        """The outputs, or the error that it told, or that it told nothing."""
        if not self._complete:
            if self._silent:
                raise TaskError(f"task {self._name} ended its process: {_end(self._status)}", code="ProcessEnded")
            raise _late(self._name, self._bound)
        kind, value = pickle.loads(self._told[_HEAD:])  # noqa: S301 - written by our own child
        if kind == "outputs":
            outputs: Literals = value
            return outputs
        if kind == "error":
            raise pickle.loads(value)  # noqa: S301 - as above
        if kind == "ignored":
            raise IgnoreOutputs
        raise TaskError(f"task {self._name} failed", code=value[0], traceback=value[1])


def _late(name: str, bound: float) -> TaskTimeoutError:
    return TaskTimeoutError(f"task {name} ran longer than {bound:g} s", code="Timeout")


def _in_child(parent: int, writing: int, inner: Context, work: Callable[[], Literals]) -> None:
    os.setsid()
    controller: Any = inner.data.controller
    _die_with(parent)
    worker = os.getpid()
    try:
        controller.after_fork()
        with inner:
            answer: tuple[str, Any] = ("outputs", work())
    except IgnoreOutputs:
        answer = ("ignored", None)
    except BaseException as error:  # noqa: BLE001 - everything is told to the parent
        answer = _told(error)
    try:
        with suppress(Exception):
            # What this wrote into the record counts less than the answer.
            controller.flush()
        sys.stdout.flush()
        sys.stderr.flush()
        # What the task forked, and came back here, has no say.
        if os.getpid() == worker:
            data = pickle.dumps(answer)
            _write(writing, len(data).to_bytes(_HEAD, "big") + data)
    finally:
        os._exit(0)


def _write(pipe: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(pipe, left) :]


def _die_with(parent: int) -> None:
    """Let the system kill this process when the one that waits for it is killed (Linux)."""
    import ctypes

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _told(error: BaseException) -> tuple[str, Any]:
    text = user_traceback(error)
    try:
        error.__cause__ = error.__cause__ or TaskError(f"{type(error).__name__} in a child process", traceback=text)
        sent = pickle.dumps(error)
        pickle.loads(sent)  # noqa: S301 - some exceptions can be written and not read
    except Exception:  # noqa: BLE001 - whatever cannot be sent is told as text
        return ("text", (type(error).__name__, text))
    return ("error", sent)


def _end(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.WEXITSTATUS(status)}"
