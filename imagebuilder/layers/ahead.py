"""Runs an iterator in a thread of its own, a few items ahead of who consumes it."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = TypeVar("Item")
_WAIT: Final = 0.1  # seconds until a thread with a full queue looks whether anybody still wants it


@contextmanager
def ahead(items: Iterator[Item], limit: int = 4) -> Iterator[Iterator[Item]]:
    """The same items; at most `limit` wait. An error of the iterator is raised where its item would have come.

    Left early, the thread stops at its next item and is waited for.
    """
    reader = _Reader(items, limit)
    thread = threading.Thread(target=reader.run, name="read-ahead", daemon=True)
    thread.start()
    try:
        yield reader.consume()
    finally:
        reader.stopped.set()
        thread.join()


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Reader(Generic[Item]):
    def __init__(self, items: Iterator[Item], limit: int) -> None:
        self.items = items
        self.waiting: queue.Queue[tuple[Item] | _Failed | None] = queue.Queue(limit)
        self.stopped = threading.Event()

    def run(self) -> None:
        last: _Failed | None = None
        try:
            for item in self.items:
                if not self.put((item,)):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
            last = _Failed(error)
        self.put(last)

    def put(self, item: tuple[Item] | _Failed | None) -> bool:
        while not self.stopped.is_set():
            try:
                self.waiting.put(item, timeout=_WAIT)
            except queue.Full:
                continue
            return True
        return False

    def consume(self) -> Iterator[Item]:
        while (item := self.waiting.get()) is not None:
            if isinstance(item, _Failed):
                raise item.error
            yield item[0]
