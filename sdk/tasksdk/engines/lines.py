"""What an attempt wrote, kept where nothing is left of it when the engine is gone."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from typing import TYPE_CHECKING

from imagebuilder.spec.redact import Redactor
from tasksdk.engines.attempt import LogLine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_STREAMS = {"stdout": b"o", "stderr": b"e"}
_NAMES = {mark: name for name, mark in _STREAMS.items()}
_LONGEST = 1 << 16
_IN_MEMORY = 1 << 18
# Of what a task writes without end, this many bytes of the beginning are kept, and so many of the end.
FIRST_BYTES = 32 << 20
LAST_BYTES = 1 << 20


class Lines:
    """A spool that one writes and several read while it grows; a large one is a file without a name.

    Where a line is cut, no value that `mask` knows is: each part can be masked for itself.
    """

    def __init__(self, mask: Redactor | None = None) -> None:
        self._mask = mask or Redactor(())
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - it lives as long as this
        self._size = 0
        self._closed = False
        self._last: deque[bytes] = deque()
        self._last_size = 0
        self._left_out = 0
        self._more = asyncio.Event()

    async def copy(self, stream: asyncio.StreamReader, name: str) -> None:
        """Take every line of a stream; one that is too long is cut into several."""
        rest = b""
        while True:
            data = await stream.read(_LONGEST)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self.add(line, name)
            if len(rest) >= _LONGEST:
                # Escaped, because a cut may also go through a character.
                shown, held = self._mask.parted(rest.decode(errors="surrogateescape"))
                rest = held.encode(errors="surrogateescape")
                if shown:
                    self.add(shown.encode(errors="surrogateescape"), name)
        if rest:
            self.add(rest, name)

    def add(self, line: bytes, stream: str) -> None:
        """Take one line."""
        written = _STREAMS[stream] + line.removesuffix(b"\r").replace(b"\n", b" ") + b"\n"
        if self._size + len(written) <= FIRST_BYTES and not self._last:
            self._write(written)
            return
        self._last.append(written)
        self._last_size += len(written)
        while self._last_size > LAST_BYTES and len(self._last) > 1:
            self._last_size -= len(self._last.popleft())
            self._left_out += 1

    def _write(self, written: bytes) -> None:
        self._file.seek(self._size)
        self._file.write(written)
        self._size += len(written)
        self._wake()

    def close(self) -> None:
        """Say that no line follows."""
        last, self._last = self._last, deque()
        if self._left_out:
            self._write(_STREAMS["stderr"] + b"... %d lines are left out ...\n" % self._left_out)
        if last:
            self._write(b"".join(last))
        self._left_out = 0
        self._closed = True
        self._wake()

    def discard(self) -> None:
        """Forget them."""
        self.close()
        self._file.close()

    def _read(self, at: int) -> bytes:
        if self._file.closed:
            return b""
        self._file.seek(at)
        return self._file.read(_LONGEST)

    def _wake(self) -> None:
        # Whoever waits has this event; whoever comes to wait gets the next.
        self._more.set()
        self._more = asyncio.Event()

    async def read(self) -> AsyncIterator[LogLine]:
        """Every line from the first, then those to come."""
        at, rest = 0, b""
        while True:
            more, closed = self._more, self._closed
            data = self._read(at)
            at += len(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield LogLine(line[1:].decode(errors="replace"), _NAMES[line[:1]])
            if not data and closed:
                return
            if not data:
                await more.wait()
