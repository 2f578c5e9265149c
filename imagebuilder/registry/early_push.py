"""Blobs of an image that are uploaded while the rest of it is still being made."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

from imagebuilder.registry.pusher import PushEvent, PushJob

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType

    from imagebuilder.registry.client import Client
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.store import ContentStore
    from imagebuilder.spec.reference import Reference

_LOOK: Final = 0.2  # seconds


class EarlyPush:
    """Uploads to the repository of `ref` what is added; the push that follows finds it there. To be used in a `with`.

    Left before `finish`, what is under way ends at its next piece; what arrived is a blob that no manifest names, which
    registries clear away.
    """

    def __init__(self, client: Client, ref: Reference, parallel: int = 2) -> None:
        self._client = client
        self._ref = ref
        self._pool = ThreadPoolExecutor(parallel, "early-push")
        self._lock = threading.Lock()
        self._jobs: dict[str, tuple[PushJob, Future[None]]] = {}
        self._sent: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> EarlyPush:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for job, _ in self._jobs.values():
            job.stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def add(self, store: ContentStore, blob: Descriptor) -> None:
        """Begin with a blob; for several threads, once for each digest."""
        with self._lock:
            if blob.digest not in self._jobs:
                job = PushJob(self._client, store, self._ref, (), self._note)
                self._jobs[blob.digest] = job, self._pool.submit(job.blob, blob)

    def finish(self, tell: Callable[[int, int], None] = lambda _now, _total: None) -> int:
        """Wait for all of them; gives how many bytes were uploaded.

        `tell` is called several times a second with the bytes that are there, of how many; what it raises ends this.

        Raises:
            PushError: the registry refuses one.
            DeniedError: we may not push there.
            RegistryError: the registry could not.
        """
        waiting = {future for _, future in self._jobs.values()}
        while waiting:
            done, waiting = wait(waiting, timeout=_LOOK, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            if waiting:
                now, total = map(sum, zip(*list(self._sent.values()), strict=True)) if self._sent else (0, 0)
                tell(now, total)
        return sum(job.tally.uploaded for job, _ in self._jobs.values())

    def _note(self, event: PushEvent) -> None:
        if event.state in ("uploading", "uploaded"):
            self._sent[event.digest] = (max(event.sent, 0), event.size)
