"""The output of one container, read once for all who want it, across breaks of the connection."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import LogLine
from tasksdk.engines.kubernetes.api import Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tasksdk.engines.kubernetes.api import Api

# What is kept of an attempt's output for those who come late: its last part.
KEPT_BYTES = 4 * 2**20
_LONGEST_LINE = 2**20
_PAUSE = 0.5
_TRIES = 20
# A runtime writes long lines in parts of this many bytes, and kubelet before 1.24 puts a time before each part.
_PART = 16384
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) ")


class Log:
    """Lines as they come; `dropped` counts those that a reader can no longer have."""

    def __init__(self) -> None:
        self.dropped = 0
        self.complete = False
        self._lines: deque[str] = deque()
        self._size = 0
        self._changed = asyncio.Event()

    def add(self, text: str) -> None:
        """Put a line at the end, and forget the first ones when there are too many."""
        self._lines.append(text)
        self._size += len(text) + 1
        while self._size > KEPT_BYTES and len(self._lines) > 1:
            self._size -= len(self._lines.popleft()) + 1
            self.dropped += 1
        self._wake()

    def end(self) -> None:
        """Nothing will follow."""
        self.complete = True
        self._wake()

    async def read(self) -> AsyncIterator[LogLine]:
        """Every line that is kept, then those to come."""
        number = 0
        while True:
            if number < self.dropped:
                yield LogLine(f"... {self.dropped - number} lines left out ...")
                number = self.dropped
            if number < self.dropped + len(self._lines):
                text = self._lines[number - self.dropped]
                number += 1
                yield LogLine(text)
                continue
            if self.complete:
                return
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class _Place:
    """Where in the output reading is: how many lines of the latest moment there were."""

    def __init__(self) -> None:
        self.moment = b""
        self._count = 0
        self._again = 0

    def resume(self) -> None:
        """The lines of the latest moment come once more."""
        self._again = 0

    def is_new(self, moment: bytes) -> bool:
        """Take the next line's moment; whether that line was not there before."""
        if moment > self.moment:
            self.moment, self._count, self._again = moment, 1, 1
            return True
        if moment == self.moment:
            self._again += 1
        if moment < self.moment or self._again <= self._count:
            return False
        self._count = self._again
        return True


async def pump(api: Api, pod: str, container: str, log: Log, ended: asyncio.Event) -> None:
    """Read a container's output into a log until all of it is there, or the pod is gone; `ended` is set after its end.

    An answer also ends when the node's kubelet does, while the container runs on.
    """
    path = f"/api/v1/namespaces/{api.namespace}/pods/{pod}/log"
    place, tries = _Place(), 0
    while True:
        query = [("container", container), ("follow", "true"), ("timestamps", "true")]
        if place.moment:
            query.append(("sinceTime", place.moment.strip().decode()))
        place.resume()
        last, whole = ended.is_set(), True
        try:
            async with aclosing(api.lines(path, query, None)) as lines:
                async for line in lines:
                    stamp = _TIME.match(line)
                    whole = stamp is not None or len(line) > _PART  # else kubelet's own words, on why it cannot go on
                    if stamp is not None and place.is_new(stamp.group()):
                        log.add(_text(line[stamp.end() :]))
        except Unreachable:
            await asyncio.sleep(_PAUSE)
        except Refused as refused:
            # A kubelet that begins anew does not know its pods at once; what it still refuses after the end is gone.
            gone = refused.code == 404 and f'pods "{pod}" not found' in refused.message
            if gone or refused.code == 403 or (last and tries == _TRIES):
                return
            tries += last
            await asyncio.sleep(_PAUSE)
        else:
            if last and (whole or tries == _TRIES):
                return
            tries += last
            await _pause(None if last else ended)


async def _pause(until: asyncio.Event | None) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.sleep(_PAUSE) if until is None else until.wait(), _PAUSE)


def _text(line: bytes) -> str:
    if len(line) > _PART:
        parts, at = [line[:_PART]], _PART
        while at < len(line):
            stamp = _TIME.match(line, at)
            at = stamp.end() if stamp else at
            parts.append(line[at : at + _PART])
            at += _PART
        line = b"".join(parts)
    return line[:_LONGEST_LINE].decode(errors="replace")
