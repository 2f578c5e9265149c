"""Images from one repository to another, byte for byte: `copy`, and `Copier` for many at once."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from imagebuilder.registry.copy_job import Copied, CopyJob, ImageJob, StoreJob
from imagebuilder.registry.pusher import PushEvent, PushJob, StoppedError, blobs_of
from imagebuilder.registry.registry_store import RegistryStore
from imagebuilder.registry.selection import select
from imagebuilder.registry.transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from imagebuilder.registry.client import Client
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.store import ContentStore
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference

PARALLEL = 12


def copy(
    client: Client,
    src: Reference,
    dst: Reference,
    *,
    platforms: Sequence[Platform] = (),
    sparse: bool = False,
    parallel: int = PARALLEL,
    on_event: Callable[[Reference, PushEvent], None] | None = None,
) -> Copied:
    """Copy one image; see `Copier.start`."""
    with Copier(client, parallel=parallel, on_event=on_event) as copier:
        return copier.copy(src, dst, platforms=platforms, sparse=sparse)


def destination(src: Reference, dst: Reference) -> Reference:
    """Where a copy goes: a target without tag and digest takes those of the source, or `latest`."""
    if dst.tag or dst.digest:
        return dst
    return dst.with_digest(src.digest) if src.digest and not src.tag else dst.with_tag(src.tag or "latest")


@final
class Copier:
    """Copies many images side by side; a blob that several share goes to a registry once, and is mounted from there.

    `parallel` bounds what is done at a time for all images and blobs together. `on_event` is told the target, one
    event at a time. Leaving the context ends what is under way.
    """

    def __init__(
        self,
        client: Client,
        *,
        parallel: int = PARALLEL,
        on_event: Callable[[Reference, PushEvent], None] | None = None,
    ) -> None:
        self.client = client
        self._pool = ThreadPoolExecutor(max(1, parallel), "copy")
        self._on_event = on_event
        self._events = threading.Lock()
        self._lock = threading.Lock()
        self._running: set[ImageJob] = set()
        self._closed = False
        self.transfers = Transfers(self.submit)

    def __enter__(self) -> Copier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what is under way, at its next piece; tags that were not put stay as they are."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        self._pool.shutdown(wait=False, cancel_futures=True)
        for one in running:
            one.fail(StoppedError("the copier was closed"))

    def copy(
        self, src: Reference, dst: Reference, *, platforms: Sequence[Platform] = (), sparse: bool = False
    ) -> Copied:
        """Copy one image, and wait for it; may be called by several threads."""
        return self.start(src, dst, platforms=platforms, sparse=sparse).result()

    def start(
        self, src: Reference, dst: Reference, *, platforms: Sequence[Platform] = (), sparse: bool = False
    ) -> Future[Copied]:
        """Begin to copy an image: bytes, media types and digests stay, attestations go with it, the tag comes last.

        `platforms` takes some of an index: one alone becomes the image of that platform, with the digest that it has in
        the index; several need `sparse`, which keeps the index and leaves holes in it. Without `sparse` an index
        with holes is refused. The future raises:

        Raises:
            VerificationError: the source does not exist, lacks a platform or a part, or its content is damaged.
            PushError: the target refuses it.
            DeniedError: we may not read or push.
            RegistryError: a registry could not.
        """
        job = CopyJob(self, src, destination(src, dst), tuple(platforms), sparse)
        self._start(job)
        return job.future

    def push(
        self,
        store: ContentStore,
        root: Descriptor,
        dst: Reference,
        *,
        mount_from: Sequence[str] = (),
        held_by: Mapping[str, str] = MappingProxyType({}),
        on_event: Callable[[PushEvent], None] | None = None,
    ) -> Future[Copied]:
        """Begin to push an image out of a store, as `push` does, sharing blobs with all that is copied here."""
        job = StoreJob(self, PushJob(self.client, store, dst, tuple(mount_from), on_event, held_by=held_by), root)
        self._start(job)
        return job.future

    def learn(self, ref: Reference) -> Future[None]:
        """Read an image that is there, so that its blobs can be mounted from its repository."""

        def read() -> None:
            store = RegistryStore(self.client, ref)
            top = store.find_manifest(ref)
            if top is not None:
                chosen = select(store, ref, top, (), sparse=True)
                manifests = PushJob(self.client, store, ref, (), None).manifests(chosen.root, chosen.left_out)
                self.transfers.note(ref, blobs_of(manifests))

        return self._pool.submit(read)

    def submit(self, work: Callable[[], None]) -> None:
        """Let a thread do some work, which raises nothing; once closed nothing is done any more."""
        with self._lock:
            if not self._closed:
                self._pool.submit(work)

    def _start(self, job: ImageJob) -> None:
        with self._lock:
            self._running.add(job)
        job.future.add_done_callback(lambda _future: self._running.discard(job))
        self.submit(job.begin)

    def tell(self, dst: Reference, event: PushEvent) -> None:
        """Tell whoever listens."""
        if self._on_event:
            with self._events:
                self._on_event(dst, event)
