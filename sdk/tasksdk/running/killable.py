"""Runs the body of a synchronous task in a child of this process, where it can be ended whatever it does."""

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
from tasksdk.task.dispatch import dispatch, drive
from tasksdk.task.traceback import user_traceback

if TYPE_CHECKING:
    from tasksdk.context.current import Context
    from tasksdk.literals import Literals
    from tasksdk.task.base import Task

_HEAD = 8
_PDEATHSIG = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>


def run_killable(bound: float, task: Task, inner: Context, literals: Literals) -> Literals:
    """Run the dispatch pipeline; the child and all it started are gone afterwards.

    Raises whatever the task raised, where that can be sent between processes, else a `TaskError` that says it.
    """
    deadline, parent = time.monotonic() + bound, os.getpid()
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Other threads of this process do not go on in the child, which touches none of their locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        _in_child(parent, writing, task, inner, literals)
    os.close(writing)
    try:
        answer = _read(reading, deadline)
    finally:
        os.close(reading)
        # The child leads a session of its own: this ends whatever it left behind, too.
        _kill(child)
        _, status = os.waitpid(child, 0)
    if answer is None:
        raise TaskTimeoutError(f"task {task.name} ran longer than {bound:g} s", code="Timeout")
    if not answer:
        raise TaskError(f"task {task.name} ended its process: {_end(status)}", code="ProcessEnded")
    kind, value = pickle.loads(answer)  # noqa: S301 - written by our own child
    if kind == "outputs":
        outputs: Literals = value
        return outputs
    if kind == "error":
        raise pickle.loads(value)  # noqa: S301 - as above
    if kind == "ignored":
        raise IgnoreOutputs
    raise TaskError(f"task {task.name} failed", code=value[0], traceback=value[1])


def _in_child(parent: int, writing: int, task: Task, inner: Context, literals: Literals) -> None:
    os.setsid()
    controller: Any = inner.data.controller
    _die_with(parent)
    worker = os.getpid()
    try:
        controller.after_fork()
        with inner:
            answer: tuple[str, Any] = ("outputs", drive(dispatch(task, inner, literals)))
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
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(len(data).to_bytes(8, "big") + data)
    finally:
        os._exit(0)


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


def _read(reading: int, deadline: float) -> bytes | None:
    """The answer; empty when the child ended without one, None when there is none in time.

    Its length stands before it: a process that the task left behind may hold the pipe open.
    """
    found = bytearray()
    while len(found) < _HEAD or len(found) < _HEAD + int.from_bytes(found[:_HEAD], "big"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return None
        part = os.read(reading, 1 << 20)
        if not part:
            return b""
        found += part
    return bytes(found[_HEAD:])


def _kill(child: int) -> None:
    for end in (os.killpg, os.kill):
        try:
            end(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _end(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.WEXITSTATUS(status)}"
