"""Runs an iterator in a thread of its own, a few items ahead of who consumes it."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = TypeVar("Item")
_END: Final = object()


@contextmanager
def ahead(items: Iterator[Item], limit: int = 4) -> Iterator[Iterator[Item]]:
    """The same items; at most `limit` wait. An error of the iterator is raised where its item would have come.

    Left early, the thread stops at its next item and is waited for.
    """
    waiting: queue.Queue[Item | BaseException | object] = queue.Queue(limit)
    stopped = threading.Event()

    def put(item: object) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        last: object = _END
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
            last = error
        put(last)

    def consume() -> Iterator[Item]:
        while (item := waiting.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]

    thread = threading.Thread(target=run, name="read-ahead", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        stopped.set()
        thread.join()
