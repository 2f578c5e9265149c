"""A command that is read as it speaks, and that never outlives the one who started it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

_POLL = 0.1  # seconds between looks at whether to stop
_GRACE = 10.0  # seconds that an interrupted command gets to end before it is killed
# Its input ends without a word when this process dies, however it dies: then it ends the process group $1.
_WATCH = 'read -r word && exit 0; kill -s INT -- "-$1"; sleep 5; kill -s KILL -- "-$1"'


@contextlib.contextmanager
def running(args: Sequence[str], environ: Mapping[str, str]) -> Iterator[Running]:
    """Start a command in a process group of its own; leaving ends it, by an interrupt first.

    Raises:
        OSError: it cannot be started.
    """
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(
            list(args),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=writer,
            env=dict(environ),
            start_new_session=True,  # an interrupt from the terminal is ours to pass on, once
        )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    try:
        with _watched(process.pid):
            try:
                yield Running(process, reader)
            finally:
                _end(process)
    finally:
        os.close(reader)


class Running:
    """A command that was started."""

    def __init__(self, process: subprocess.Popen[bytes], reader: int) -> None:
        self._process = process
        self._reader = reader

    def errors(self, cancel: threading.Event) -> Iterator[bytes]:
        """What it writes to its standard error, piece by piece, until it closes it.

        Raises:
            KeyboardInterrupt: `cancel` was set.
        """
        while True:
            if cancel.is_set():
                raise KeyboardInterrupt
            if select.select([self._reader], [], [], _POLL)[0]:
                data = os.read(self._reader, 1 << 16)
                if not data:
                    return
                yield data

    def wait(self) -> int:
        """Its exit code; less than nothing where a signal ended it."""
        return self._process.wait()


@contextlib.contextmanager
def _watched(group: int) -> Iterator[None]:
    """Have a process group ended when this process is killed."""
    with subprocess.Popen(
        ["/bin/sh", "-c", _WATCH, "imagebuilder-watch", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as watch:
        try:
            yield
        finally:
            with contextlib.suppress(BrokenPipeError):
                watch.communicate(b"done\n")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGINT)
        process.wait(_GRACE)
    # Whoever of the group did not listen, the command itself or something that it left behind.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
