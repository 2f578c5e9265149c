"""`tasksdk-execute`: a supervisor that outlives whatever the task does to its process, and tells it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from tasksdk.engines import kin
from tasksdk.errors import TaskSdkError
from tasksdk.executor.arguments import USAGE, Arguments, parse

if TYPE_CHECKING:
    from mmap import mmap

    from tasksdk.executor.failure import Failure

_OOM_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def main(argv: list[str] | None = None) -> int:
    """Run one task; 0 when it succeeded, 1 when it failed, 2 when the command line means nothing."""
    given = sys.argv[1:] if argv is None else argv
    if given[:1] in (["--help"], ["-h"]):
        print(USAGE)  # noqa: T201 - it is asked for
        return 0
    if given == ["--worker"]:
        from tasksdk.executor.worker import serve

        return serve()
    try:
        arguments = parse(given)
    except TaskSdkError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the one message of a command line that means nothing
        return 2
    from mmap import mmap

    killed_before = oom_kills()
    if kin.MARK in os.environ:
        # On a machine that outlives the task, nobody else knows what it left behind; a container takes all with it.
        kin.adopt_orphans()
    # Memory that both processes see: a task that closes every file it finds cannot close this.
    told = mmap(-1, 1)
    child = os.fork()
    if child == 0:
        _work(arguments, told)
    return _supervise(child, told, arguments, killed_before)


def _work(arguments: Arguments, told: mmap) -> None:
    code = 1
    try:
        find_scripts()
        from tasksdk.executor.attempt import run_attempt

        failure = run_attempt(arguments)
        told[0] = 1
        if failure is None:
            code = 0
        else:
            sys.stderr.write(failure.message)
    finally:
        flush()
        if "tasksdk.types.raw_data" in sys.modules:
            sys.modules["tasksdk.types.raw_data"].remove_scratch()
        # Threads and exit handlers of the task's have no say any more: the documents are written.
        os._exit(code)


def find_scripts() -> None:
    """Let scripts be found as `python -m` finds them."""
    if "" not in sys.path and os.getcwd() not in sys.path:  # noqa: PTH109 - pathlib takes longer to import
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as above


def _supervise(child: int, told: mmap, arguments: Arguments, killed_before: int) -> int:
    asked = Asked()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, asked.pass_on(child))
    status = _wait_for(child)
    if kin.MARK in os.environ:
        kin.end_children()
    if told[0]:
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1
    from tasksdk.executor.documents import tell

    failure = unexpected(status, asked.signal, out_of_memory=oom_kills() > killed_before)
    tell(arguments.outputs, failure)
    sys.stderr.write(f"{failure.message}\n")
    return 1


class Asked:
    """Remembers the signal that asked the task to end."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def pass_on(self, child: int):  # type: ignore[no-untyped-def] # a handler's type is signal's own
        """A handler that hands the signal to the child."""

        def handler(number: int, _frame: object) -> None:
            self.signal = number
            try:
                os.kill(child, number)
            except ProcessLookupError:
                return

        return handler


def _wait_for(child: int) -> int:
    while True:
        # As the first process of a container, this one inherits the orphans.
        ended, status = os.wait()
        if ended == child:
            return status


def unexpected(status: int, asked: int | None, *, out_of_memory: bool) -> Failure:
    """The failure of a task that could not tell of it."""
    from tasksdk.executor.failure import Failure

    if not os.WIFSIGNALED(status):
        code = os.WEXITSTATUS(status)
        text = f"the task ended its process with exit code {code}, without returning or raising"
        return Failure("ProcessExited", text, recoverable=True)
    number = os.WTERMSIG(status)
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number == signal.SIGKILL and out_of_memory:
        text = "the task's process was killed for its memory: it needed more than the container may have"
        return Failure("OutOfMemory", text, recoverable=True)
    if asked == number:
        return Failure("Terminated", f"the task was asked to end by {name}", recoverable=True, by_user=False)
    return Failure("Signaled", f"the task's process was ended by {name}", recoverable=True)


def oom_kills() -> int:
    """How many processes of this container were killed for its memory so far."""
    for path in _OOM_EVENTS:
        try:
            with open(path, encoding="ascii") as events:  # noqa: PTH123 - as above
                for line in events:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except OSError:
            continue
    return 0


def flush() -> None:
    """Write what the task printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
