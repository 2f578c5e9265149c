"""Ends what a killed client left behind: a small process that outlives it and notices."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Reads "+NAME" and "-NAME", and so for paths; the end of its input is the end of the client, however that came.
_PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
kept = set()
for line in sys.stdin:
    (kept.add if line[0] == "+" else kept.discard)(line[1:].rstrip(chr(10)))
names = sorted(name for name in kept if name[0] != "/")
command = sys.argv[1:]
if names and command:
    import subprocess, time
    for pause in (0, 2):
        # What the client had begun to create when it ended may come up after the first time.
        time.sleep(pause)
        subprocess.run([*command, *names], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
elif names:
    from tasksdk.engines.kin import end_marked
    for name in names:
        end_marked(name)
for path in kept.difference(names):
    import shutil
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.unlink(path)
"""


class Undertaker:
    """Knows the attempts, and the files and folders, that must not outlive this process.

    Without a command it kills the processes that carry an attempt's mark; with one it runs that with the names. A path
    is absolute, and a name is not.
    """

    def __init__(self, command: Sequence[str] = ()) -> None:
        self._command = tuple(command)
        self._process: subprocess.Popen[str] | None = None
        self._kept: set[str] = set()

    def keep(self, name: str) -> None:
        """End the attempt, or remove what lies at the path, when this process ends; to be said before it is there."""
        self._kept.add(name)
        if self._process is not None and self._process.poll() is None:
            self._say(f"+{name}")
            return
        package = str(Path(__file__).resolve().parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *self._command],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": package},
        )
        for one in self._kept:
            self._say(f"+{one}")

    def forget(self, name: str) -> None:
        """It has ended, or is removed."""
        self._kept.discard(name)
        self._say(f"-{name}")

    def close(self) -> None:
        """Let the process go."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()

    def _say(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
