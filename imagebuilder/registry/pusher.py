"""An image into a registry: its blobs, its manifests by digest, then the tag, once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from imagebuilder.errors import DeniedError, PushError, RegistryError
from imagebuilder.registry import media_types
from imagebuilder.registry.descriptor import digest_like
from imagebuilder.registry.fetch import MANIFEST_LIMIT
from imagebuilder.registry.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from imagebuilder.registry.client import Client
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.store import ContentStore
    from imagebuilder.registry.upload import UploadSession
    from imagebuilder.spec.reference import Reference


@dataclass(frozen=True)
class PushEvent:
    """What happens to one blob or manifest; `sent` of `size` bytes are on their way."""

    state: Literal["exists", "mounted", "uploading", "uploaded"]
    digest: str
    media_type: str
    size: int
    sent: int = 0


@dataclass(frozen=True)
class Pushed:
    """What a push did: blobs that were mounted, and those that were there; bytes count blobs and manifests."""

    digest: str
    bytes_uploaded: int = 0
    mounted: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass
class _Tally:
    uploaded: int = 0
    mounted: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def push(
    client: Client,
    store: ContentStore,
    root: Descriptor,
    ref: Reference,
    *,
    mount_from: Sequence[str] = (),
    held_by: Mapping[str, str] = MappingProxyType({}),
    parallel: int = 4,
    on_event: Callable[[PushEvent], None] | None = None,
) -> Pushed:
    """Push what `root` names, from a store, to `ref`; killed before its end it leaves the tag untouched.

    `mount_from` are repositories of the same registry that may have some of the blobs, `held_by` those that have the
    blobs of these digests. `on_event` is called from
    several threads, one at a time. A reference without tag and digest gets the tag `latest`.

    Raises:
        PushError: the registry refuses it, or the store's content is not what it should be.
        DeniedError: we may not push there.
        RegistryError: the registry could not.
        VerificationError: the store lacks a part of it.
    """
    return PushJob(client, store, ref, tuple(mount_from), on_event, held_by=held_by).run(root, max(1, parallel))


class PushJob:
    """The steps of one push; `push` runs them on threads of its own, a copier on those it shares.

    `stopped`, once set, ends what is under way at its next piece.
    """

    def __init__(
        self,
        client: Client,
        store: ContentStore,
        ref: Reference,
        mount_from: tuple[str, ...],
        on_event: Callable[[PushEvent], None] | None,
        *,
        held_by: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.client = client
        self.store = store
        self.ref = ref
        self.mount_from = tuple(source for source in mount_from if source != ref.repository)
        self.held_by = held_by
        self.on_event = on_event
        self.tally = _Tally()
        self.stopped = threading.Event()
        self.events = threading.Lock()

    def run(self, root: Descriptor, parallel: int) -> Pushed:
        """All steps, one after another; only the blobs go side by side."""
        manifests = self.manifests(root)
        self.target(manifests[-1])
        self.blobs(blobs_of(manifests), parallel)
        return self.finish(manifests)

    def finish(self, manifests: Sequence[Manifest]) -> Pushed:
        """Put the manifests, all blobs being there: children by digest, then the last one under the tag."""
        top = manifests[-1]
        for manifest in manifests[:-1]:
            self.manifest(manifest, self.ref.with_digest(manifest.digest))
        self.manifest(top, self.target(top))
        tally = self.tally
        return Pushed(top.digest, tally.uploaded, tuple(sorted(tally.mounted)), tuple(sorted(tally.skipped)))

    def target(self, top: Manifest) -> Reference:
        """Where the root goes: the tag, even where the reference has a digest too, else the digest, else `latest`."""
        if self.ref.digest and self.ref.digest != top.digest:
            raise PushError(f"pushing {self.ref} failed: the image has digest {top.digest}", hint="push to a tag alone")
        if self.ref.digest and not self.ref.tag:
            return self.ref
        return self.ref.with_tag(self.ref.tag or "latest")

    def manifests(self, root: Descriptor, left_out: Collection[str] = ()) -> list[Manifest]:
        """All manifests, children before those that list them, but for those of the digests `left_out`."""
        found: dict[str, Manifest] = {}

        def visit(descriptor: Descriptor, above: tuple[str, ...]) -> None:
            if descriptor.digest in found or descriptor.digest in left_out:
                return
            manifest = self.read(descriptor)
            for child in manifest.children if descriptor.digest not in above else ():
                visit(child, (*above, descriptor.digest))
            found[descriptor.digest] = manifest

        visit(root, ())
        return list(found.values())

    def read(self, descriptor: Descriptor) -> Manifest:
        """A manifest out of the store, verified."""
        size = self.store.size(descriptor.digest)
        if size != descriptor.size or size > MANIFEST_LIMIT:
            raise PushError(f"the manifest {descriptor.digest} has {size} bytes in the store, not {descriptor.size}")
        with self.store.open(descriptor.digest) as stream:
            raw = stream.read()
        if digest_like(descriptor.digest, raw) != descriptor.digest:
            raise PushError(f"what is stored as the manifest {descriptor.digest} is something else")
        known = descriptor.media_type in media_types.INDEXES | media_types.MANIFESTS
        try:
            manifest = Manifest(raw, descriptor.media_type, descriptor.digest)
            manifest = manifest if known else Manifest(raw, Manifest.of(raw).media_type, descriptor.digest)
            _ = manifest.children, manifest.blobs
        except ValueError as error:
            raise PushError(f"the manifest {descriptor.digest} in the store is broken: {error}") from None
        return manifest

    def blobs(self, blobs: list[Descriptor], parallel: int) -> None:
        """Bring all blobs there; the first failure, or an interrupt, stops the others at their next piece."""
        with ThreadPoolExecutor(min(parallel, max(1, len(blobs))), "push") as pool:
            futures = [pool.submit(self.blob, blob) for blob in blobs]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException as error:
                self.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                if isinstance(error, StoppedError):  # it ended before the one that it was stopped for
                    causes = [future.exception() for future in futures if not future.cancelled()]
                    raise next(cause for cause in causes if cause and not isinstance(cause, StoppedError)) from None
                raise

    def blob(self, blob: Descriptor) -> None:
        """Bring one blob there, unless another failed."""
        if not self.stopped.is_set():
            try:
                self.bring(blob)
            except BaseException:
                self.stopped.set()
                raise

    def bring(self, blob: Descriptor, known: Sequence[str] = (), needed: Callable[[], bool] | None = None) -> None:
        """Find, mount or upload one blob; mounting comes first from repositories that are `known` to have it.

        What is stopped goes on as long as others need it.
        """
        begun: UploadSession | None = None
        holder = self.held_by.get(blob.digest)
        if holder and holder not in (self.ref.repository, *known):
            known = (holder, *known)
        if known:
            mounted, begun = self.mount(blob, known)
            if mounted:
                return
        if self.client.has_blob(self.ref, blob.digest):
            self.note(self.tally.skipped, blob, "exists")
            return
        if not known:
            mounted, begun = self.mount(blob, self.mount_from)
            if mounted:
                return
        self.event(PushEvent("uploading", blob.digest, blob.media_type, blob.size))

        def progress(sent: int) -> None:
            if self.stopped.is_set() and not (needed and needed()):
                raise StoppedError
            self.event(PushEvent("uploading", blob.digest, blob.media_type, blob.size, sent))

        self.client.upload_blob(self.ref, blob, lambda: self.store.open(blob.digest), progress=progress, begun=begun)
        with self.tally.lock:
            self.tally.uploaded += blob.size
        self.event(PushEvent("uploaded", blob.digest, blob.media_type, blob.size, blob.size))

    def mount(self, blob: Descriptor, sources: Sequence[str]) -> tuple[bool, UploadSession | None]:
        """Whether the blob could be mounted from one of these; where not, the place to upload it that was offered."""
        begun: UploadSession | None = None
        for source in sources:
            try:
                begun = self.client.mount_blob(self.ref, blob.digest, source)
            except DeniedError:
                continue  # we may not read there: the blob is uploaded
            except RegistryError as error:
                if error.status is None or error.status >= 500:
                    raise
                continue
            if begun is None:
                self.note(self.tally.mounted, blob, "mounted")
                return True, None
        return False, begun

    def manifest(self, manifest: Manifest, ref: Reference) -> None:
        """Put one manifest."""
        self.client.put_manifest(ref, manifest.raw, manifest.media_type)
        self.tally.uploaded += len(manifest.raw)
        size = len(manifest.raw)
        self.event(PushEvent("uploaded", manifest.digest, manifest.media_type, size, size))

    def note(self, where: list[str], blob: Descriptor, state: Literal["exists", "mounted"]) -> None:
        """Count a blob that need not be uploaded."""
        with self.tally.lock:
            where.append(blob.digest)
        self.event(PushEvent(state, blob.digest, blob.media_type, blob.size, blob.size))

    def event(self, event: PushEvent) -> None:
        """Tell whoever listens, one event at a time."""
        if self.on_event:
            with self.events:
                self.on_event(event)


def blobs_of(manifests: Sequence[Manifest]) -> list[Descriptor]:
    """The blobs of manifests, each once, the largest first: what takes longest begins first."""
    blobs = {blob.digest: blob for manifest in manifests for blob in manifest.blobs}
    return sorted(blobs.values(), key=lambda blob: -blob.size)


class StoppedError(Exception):
    """Another blob failed; this one need not go on."""
