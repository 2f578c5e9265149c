"""One image on its way into a registry, in pieces of work that wait for nothing."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.errors import DeniedError, PushError, VerificationError
from imagebuilder.registry import media_types
from imagebuilder.registry.pusher import PushJob, blobs_of
from imagebuilder.registry.registry_store import RegistryStore
from imagebuilder.registry.selection import select
from imagebuilder.registry.verify import verify_pushed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.registry.copier import Copier
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.manifest import Manifest
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference


@dataclass(frozen=True)
class Copied:
    """What a copy did: bytes of blobs and manifests, blobs that were mounted, and those that were there."""

    digest: str
    bytes_moved: int = 0
    mounted: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class ImageJob:
    """One image on its way; every method is one piece of work and waits for no other."""

    def __init__(self, copier: Copier, push: PushJob) -> None:
        self.copier, self.client, self.push = copier, copier.client, push
        self.future: Future[Copied] = Future()
        self.manifests: Sequence[Manifest] = ()
        self._lock = threading.Lock()
        self._left = 0

    def prepare(self) -> Copied | None:
        """What to answer where nothing is to be moved; else what is to be is in `manifests`."""
        raise NotImplementedError

    def begin(self) -> None:
        """Look what is there, read the manifests, and ask for their blobs."""
        try:
            done = self.prepare()
            if done is not None:
                self.succeed(done)
                return
            blobs = blobs_of(self.manifests)
            self._left = len(blobs)
            if not blobs:
                self.finish()
            for blob in blobs:
                self.copier.transfers.want(self.push, blob, self.arrived)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self.fail(error)

    def arrived(self, error: BaseException | None) -> None:
        """Count a blob that is there; the last one lets the manifests go."""
        if error is not None:
            self.fail(error)
            return
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last and not self.push.stopped.is_set():
            self.copier.submit(self.finish)

    def finish(self) -> None:
        """Put the manifests and the tag, and read it back."""
        try:
            pushed = self.push.finish(self.manifests)
            verify_pushed(self.client, self.push.target(self.manifests[-1]), pushed.digest)
            self.succeed(Copied(pushed.digest, pushed.bytes_uploaded, pushed.mounted, pushed.skipped))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self.fail(error)

    def succeed(self, copied: Copied) -> None:
        """Tell who waits."""
        with self._lock:
            if not self.future.done():
                self.future.set_result(copied)

    def fail(self, error: BaseException) -> None:
        """Tell who waits, and stop what else is under way for this image alone."""
        with self._lock:
            self.push.stopped.set()  # whoever stops for it comes here later
            if not self.future.done():
                self.future.set_exception(error)


class StoreJob(ImageJob):
    """An image out of a store."""

    def __init__(self, copier: Copier, push: PushJob, root: Descriptor) -> None:
        super().__init__(copier, push)
        self.root = root

    def prepare(self) -> Copied | None:
        """Read the manifests out of the store."""
        self.manifests = self.push.manifests(self.root)
        self.push.target(self.manifests[-1])
        return None


class CopyJob(ImageJob):
    """An image out of another repository."""

    def __init__(
        self, copier: Copier, src: Reference, dst: Reference, platforms: tuple[Platform, ...], sparse: bool
    ) -> None:
        self.store = RegistryStore(copier.client, src)
        super().__init__(copier, PushJob(copier.client, self.store, dst, (), lambda event: copier.tell(dst, event)))
        self.src, self.dst = src, dst
        self.platforms, self.sparse = platforms, sparse
        self.left_out: frozenset[str] = frozenset()

    def prepare(self) -> Copied | None:
        """Compare the target with the source, first by their digests alone."""
        there = self.standing()
        if there is not None and not self.platforms:
            digest = self.src.digest or getattr(self.client.resolve(self.src), "digest", None)
            # A registry takes no single image without its blobs; an index may have holes.
            if digest == there.digest and there.media_type in media_types.MANIFESTS:
                return Copied(there.digest)
        top = self.store.find_manifest(self.src)
        if top is None:
            raise VerificationError(f"{self.src} does not exist", hint="check the name and the tag")
        root, self.left_out = select(self.store, self.src, top, self.platforms, sparse=self.sparse)
        self.manifests = self.push.manifests(root, self.left_out)
        self.push.target(self.manifests[-1])
        blobs = blobs_of(self.manifests)
        if there is not None and there.digest == root.digest and self.has_children():
            return Copied(there.digest, skipped=tuple(sorted(blob.digest for blob in blobs)))
        if self.src.registry == self.dst.registry:
            self.copier.transfers.note(self.src, blobs)
        return None

    def standing(self) -> Descriptor | None:
        """What the target points to now; None too where we may not look, since we may still be let push."""
        try:
            return self.client.resolve(self.dst, mirrors=False)
        except DeniedError:
            return None

    def has_children(self) -> bool:
        """Whether the target has all manifests below the index that it has."""
        return all(
            self.client.resolve(self.dst.with_digest(child.digest), mirrors=False) is not None
            for child in self.manifests[:-1]
        )

    def fail(self, error: BaseException) -> None:
        """Say what to do where a registry takes no holes."""
        if isinstance(error, PushError) and self.left_out and error.hint is None:
            error.hint = f"{self.dst.registry} may refuse sparse indexes; copy one platform at a time instead"
        super().fail(error)
