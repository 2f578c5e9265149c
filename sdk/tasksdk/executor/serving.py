"""The process of a worker: one task after another, each as if it were the first."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextvars import copy_context
from typing import TYPE_CHECKING

from tasksdk.engines.frames import HEAD, kind_and_length
from tasksdk.executor.arguments import parse
from tasksdk.executor.loaded_code import LoadedCode
from tasksdk.executor.main import find_scripts, flush

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from mmap import mmap
    from typing import Any, NoReturn

STARTED, SUCCEEDED, FAILED = b"s", b"0", b"1"


class Server:
    """What a task changes of variables, folder and context is gone before the next; modules and their state stay.

    How a task ended stands in memory that the supervisor sees, `told`, before the pipe tells it: a task may close that.
    """

    def __init__(self, requests: int, telling: int, stdout: int, stderr: int, told: mmap) -> None:
        self._requests = requests
        self._telling = telling
        self._outputs = (stdout, stderr)
        self._told = told
        self._loop: Any = None

    def serve(self) -> NoReturn:
        """Run what is asked for; ends this process when nothing more is asked, or it is not fit to go on."""
        try:
            self._settle()
            from tasksdk.executor.attempt import run_attempt

            variables, folder = dict(os.environ), os.getcwd()  # noqa: PTH109 - pathlib takes longer to import
            loaded = LoadedCode()
            handles, streams = self._handles(), (sys.stdin, sys.stdout, sys.stderr)
            while True:
                request = self._next()
                if request is None or loaded.changed():
                    break
                os.environ.clear()
                os.environ.update({**variables, **request["env"]})
                os.chdir(folder)
                self._tell(STARTED)
                with loaded.watched():
                    failure = copy_context().run(run_attempt, parse(request["argv"]), self._finish)
                flush()
                sys.stdin, sys.stdout, sys.stderr = streams
                if failure is not None:
                    sys.stderr.write(failure.message)
                flush()
                self._told[:] = SUCCEEDED if failure is None else FAILED
                if self._handles() != handles or any(one.closed for one in streams):
                    break
                os.write(self._telling, self._told[:])
        except BaseException:  # noqa: BLE001 - the one thing left to do is to say so
            sys.excepthook(*sys.exc_info())
        finally:
            flush()
            os._exit(0)

    def _settle(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for handle, place in zip((nothing, *self._outputs), (0, 1, 2), strict=True):
            os.dup2(handle, place)
            os.close(handle)
        find_scripts()

    def _handles(self) -> list[tuple[int, int]] | None:
        """What its files are, or None where one is closed: a task may have opened another in its place."""
        try:
            found = [os.fstat(handle) for handle in (self._requests, self._telling, 0, 1, 2)]
        except OSError:
            return None
        return [(one.st_dev, one.st_ino) for one in found]

    def _next(self) -> Any:
        head = self._read(HEAD)
        return json.loads(self._read(kind_and_length(head)[1])) if len(head) == HEAD else None

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = os.read(self._requests, size - len(data))
            if not part:
                break
            data += part
        return data

    def _tell(self, what: bytes) -> None:
        self._told[:] = what
        os.write(self._telling, what)

    def _finish(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop that all tasks of this process share; what it left running is cancelled."""
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        try:
            return self._loop.run_until_complete(work)
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left))
