"""A repository as a place that content is pushed from: `RegistryStore`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, cast

from imagebuilder.errors import RegistryError
from imagebuilder.registry import scope
from imagebuilder.registry.session import Call
from imagebuilder.registry.store import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.registry.client import Client
    from imagebuilder.registry.connection import Response
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.manifest import Manifest
    from imagebuilder.spec.reference import Reference


class RegistryStore:
    """A content store; what it opens is streamed and nothing of it is kept but manifests.

    It knows the manifests that were read through it, and the blobs that those list. Blobs are not verified here:
    who pushes them does that, and holds the last piece back until all is right.
    """

    def __init__(self, client: Client, ref: Reference) -> None:
        self.client = client
        self.ref = ref
        self._manifests: dict[str, Manifest] = {}
        self._blobs: dict[str, Descriptor] = {}

    def find_manifest(self, ref: Reference) -> Manifest | None:
        """A manifest of the repository; None where the registry says that there is none.

        Raises:
            RegistryError: it could not say, or what it sent is broken.
        """
        known = self._manifests.get(ref.digest or "")
        found = known or self.client.find_manifest(ref)
        if found is not None and known is None:
            try:
                self._blobs.update((blob.digest, blob) for blob in found.blobs)
                _ = found.children
            except ValueError as error:
                raise RegistryError(f"the manifest {found.digest} of {ref.name} is broken: {error}") from None
            self._manifests[found.digest] = found
        return found

    def open(self, digest: str) -> BinaryIO:
        """A new stream of the content; reading it raises RegistryError where the registry fails for good."""
        if (blob := self._blobs.get(digest)) is not None:
            return cast("BinaryIO", _Download(self.client, self.ref, blob))
        return io.BytesIO(self._manifest(digest).raw)

    def size(self, digest: str) -> int:
        """Its length in bytes, as its manifest says."""
        blob = self._blobs.get(digest)
        return blob.size if blob is not None else len(self._manifest(digest).raw)

    def _manifest(self, digest: str) -> Manifest:
        found = self.find_manifest(self.ref.with_digest(digest))
        if found is None:
            raise missing(digest, self.ref.name)
        return found


class _Download(io.RawIOBase):
    """A blob as it comes; where the connection breaks it goes on at that byte, as long as it gets further."""

    def __init__(self, client: Client, ref: Reference, blob: Descriptor) -> None:
        super().__init__()
        self._client = client
        self._ref = ref
        self._blob = blob
        self._seen = 0  # bytes that have come
        self._held = b""
        self._response: Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._attempt = 0
        self._deadline = client.session.deadline()

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for, fewer only at the end."""
        parts, wanted = [], size if size >= 0 else self._blob.size + 1
        while wanted > 0:
            piece = self._held or self._next()
            if not piece:
                break
            self._held = piece[wanted:]
            piece = piece[:wanted] if self._held else piece
            parts.append(piece)
            wanted -= len(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Give the connection back."""
        if self._response is not None:
            self._response.close()
        super().close()

    def _next(self) -> bytes:
        """The next piece, empty at the end; one byte over the end at most is asked for, since that is wrong already."""
        while self._seen <= self._blob.size:
            try:
                if self._response is None:
                    self._open()
                piece = next(self._pieces, b"")
            except OSError as error:
                self._again(error)
                continue
            if piece and self._attempt:
                self._attempt, self._deadline = 0, self._client.session.deadline()
            self._seen += len(piece)
            return piece
        return b""

    def _open(self) -> None:
        self._response = response = self._client.open_blob(self._ref, self._blob, self._seen)
        again = bool(self._seen) and response.status != 206  # it sends all of it, whatever it was asked for
        self._pieces = _after(self._seen, response.stream()) if again else response.stream()

    def _again(self, error: OSError) -> None:
        if self._response is not None:
            self._response.close()
        self._response, self._attempt = None, self._attempt + 1
        session = self._client.session
        target = f"{self._ref.repository}/blobs/{self._blob.digest}"
        call = Call("GET", self._ref, target, scope.pull(self._ref.repository), "reading a blob of")
        session.transport.pause(session.request(call, self._ref), self._attempt, self._deadline, error)


def _after(count: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What comes after so many bytes."""
    for piece in pieces:
        if count < len(piece):
            yield piece[count:]
        count = max(0, count - len(piece))
