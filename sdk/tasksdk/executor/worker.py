"""`tasksdk-execute --worker`: a supervisor of one process that runs task after task.

Requests come as frames on standard input, and its end is the end of the client; answers are frames on standard output.
"""

from __future__ import annotations

import json
import os
import select
import signal
from mmap import mmap

from tasksdk.engines.frames import DONE, HEAD, STDERR, STDOUT, TAKEN, frame, kind_and_length
from tasksdk.executor.arguments import parse
from tasksdk.executor.main import Asked, oom_kills, unexpected
from tasksdk.executor.serving import FAILED, STARTED, SUCCEEDED, Server

# No pipe holds more, so one read takes all that was written before.
_WHOLE_PIPE = 1 << 20
_CLIENT = 0


class Worker:
    """Hands requests to its process, frames what that writes, and tells how it ended when it cannot itself."""

    def __init__(self) -> None:
        self._answers = os.dup(1)
        self._children = _wake_on_children()
        self._heard = b""
        self._asked_for = ""
        self._outputs: str | None = None
        self._killed_before = 0
        self._state = mmap(-1, 1)
        requests, self._requests = os.pipe()
        self._told, telling = os.pipe()
        self._stdout, stdout = os.pipe()
        self._stderr, stderr = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            for handle in (self._answers, self._children, self._requests, self._told, self._stdout, self._stderr):
                os.close(handle)
            Server(requests, telling, stdout, stderr, self._state).serve()
        for handle in (requests, telling, stdout, stderr):
            os.close(handle)
        os.set_blocking(self._stdout, False)
        os.set_blocking(self._stderr, False)
        self._asked = Asked()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._asked.pass_on(self._process))

    def serve(self) -> int:
        """Serve until the client goes or the process ends; the exit code."""
        open_ends = {_CLIENT, self._told, self._stdout, self._stderr, self._children}
        while True:
            ready = select.select(open_ends, [], [])[0]
            if self._told in ready:
                told = os.read(self._told, 1)
                if told:
                    self._tell(told)
                else:
                    open_ends.discard(self._told)
            # After what was told: a task that has begun may have written already.
            for handle, kind in ((self._stdout, STDOUT), (self._stderr, STDERR)):
                if handle in ready and not self._pass_output(handle, kind):
                    open_ends.discard(handle)
            if _CLIENT in ready and not self._pass_requests():
                return self._end()
            if self._children in ready:
                os.read(self._children, _WHOLE_PIPE)
                status = self._reap()
                if status is not None:
                    return self._bury(status)

    def _pass_requests(self) -> bool:
        given = os.read(_CLIENT, 1 << 16)
        self._heard += given
        while len(self._heard) >= HEAD:
            _, length = kind_and_length(self._heard)
            if len(self._heard) < HEAD + length:
                break
            request, self._heard = self._heard[: HEAD + length], self._heard[HEAD + length :]
            self._asked_for = parse(json.loads(request[HEAD:])["argv"]).outputs
            self._killed_before = oom_kills()
            _write_all(self._requests, request)
        return bool(given)

    def _pass_output(self, handle: int, kind: bytes) -> bool:
        """Frame what is there now; what something that an earlier task left behind writes in between is dropped."""
        try:
            data = os.read(handle, _WHOLE_PIPE)
        except BlockingIOError:
            return True
        if data and self._outputs is not None:
            self._answer(kind, data)
        return bool(data)

    def _tell(self, told: bytes, *, last: bool = False) -> None:
        """Tell the client what the process told."""
        if told == STARTED:
            self._outputs = self._asked_for
            self._answer(TAKEN)
        elif self._outputs is not None and told in {SUCCEEDED, FAILED}:
            self._done(0 if told == SUCCEEDED else 1, last=last)

    def _done(self, code: int, *, memory: bool = False, last: bool = False) -> None:
        self._pass_output(self._stdout, STDOUT)
        self._pass_output(self._stderr, STDERR)
        self._answer(DONE, json.dumps({"code": code, "memory": memory, "last": last}).encode())
        self._outputs = None

    def _reap(self) -> int | None:
        """How the process ended; None while it lives. As the first of a container, this one inherits orphans."""
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if ended == self._process:
                return status
            if ended == 0:
                return None

    def _bury(self, status: int) -> int:
        """Tell the client how the last task ended, and write the document that the process could not write."""
        while select.select([self._told], [], [], 0)[0]:
            told = os.read(self._told, 1)
            if not told:
                break
            self._tell(told)
        if self._state[:] != STARTED:
            self._tell(self._state[:], last=True)
        if self._outputs is None:
            # It told the end of its last task, or ended before it took one: the client asks another.
            return 1
        from tasksdk.executor.documents import tell

        memory = oom_kills() > self._killed_before
        failure = tell(self._outputs, unexpected(status, self._asked.signal, out_of_memory=memory))
        self._pass_output(self._stdout, STDOUT)
        self._pass_output(self._stderr, STDERR)
        self._answer(STDERR, f"{failure.message}\n".encode())
        self._done(1, memory=failure.code == "OutOfMemory", last=True)
        return 1

    def _end(self) -> int:
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        return 0

    def _answer(self, kind: bytes, data: bytes = b"") -> None:
        _write_all(self._answers, frame(kind, data))


def serve() -> int:
    """Be a worker; the exit code."""
    try:
        return Worker().serve()
    except BrokenPipeError:
        # The client is gone, and with it whoever asked.
        return 1
    except KeyboardInterrupt:
        return 130


def _wake_on_children() -> int:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
