"""Ends what a killed client left behind: a small process that outlives it and notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK = "TASKSDK_ATTEMPT_NAME"

# Reads "+NAME" and "-NAME"; the end of its input is the end of the client, however that came.
_PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
kept = set()
for line in sys.stdin:
    (kept.add if line[0] == "+" else kept.discard)(line[1:].strip())
if kept:
    command = sys.argv[1:]
    if command:
        import subprocess
        subprocess.run([*command, *kept], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        from tasksdk.engines.undertaker import end_marked
        for name in kept:
            end_marked(name)
"""


class Undertaker:
    """Knows the attempts that must not outlive this process.

    Without a command it kills the processes that carry an attempt's mark; with one it runs that with the names.
    """

    def __init__(self, command: Sequence[str] = ()) -> None:
        self._command = tuple(command)
        self._process: subprocess.Popen[str] | None = None

    def keep(self, name: str) -> None:
        """End the attempt when this process ends; to be said before it starts."""
        if self._process is None:
            package = str(Path(__file__).resolve().parents[2])
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *self._command],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": package},
            )
        self._say(f"+{name}")

    def forget(self, name: str) -> None:
        """The attempt has ended."""
        self._say(f"-{name}")

    def close(self) -> None:
        """Let the process go."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait()

    def _say(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()


def end_group(group: int, name: str) -> None:
    """Kill a process group, and whoever left it but still carries the attempt's mark in its environment."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    end_marked(name)


def end_marked(name: str) -> None:
    """Kill every process that carries the mark, until none is left: one may start another meanwhile."""
    marked = f"{MARK}={name}".encode()
    while True:
        found = [pid for pid in _processes() if marked in _environment(pid)]
        if not found:
            return
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _environment(pid: int) -> list[bytes]:
    # That of a process that has ended, but was not waited for, is empty.
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names alone are needed
    except OSError:
        return []  # no /proc on this system: the group is all that is known
