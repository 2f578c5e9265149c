"""An OCI image layout on disk: read, and written atomically (OCI image-spec "Image Layout")."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from imagebuilder.errors import VerificationError
from imagebuilder.registry import media_types
from imagebuilder.registry.descriptor import Descriptor, Verifier, is_digest
from imagebuilder.registry.store import missing

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = "org.opencontainers.image.ref.name"
_COPY = 1 << 20


class OCILayout:
    """A folder with `oci-layout`, `index.json` and `blobs/<algorithm>/<hex>`; made when first written to."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def path(self, digest: str) -> Path:
        """Where a digest's content lies.

        Raises:
            VerificationError: it is not a digest, and so could lead anywhere.
        """
        if not is_digest(digest):
            raise VerificationError(f"{digest[:100]!r} is not a digest")
        algorithm, _, value = digest.partition(":")
        return self.folder / "blobs" / algorithm / value

    def open(self, digest: str) -> BinaryIO:
        """A new stream of the content."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError:
            raise missing(digest, f"the layout {self.folder}") from None

    def size(self, digest: str) -> int:
        """Its length in bytes."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise missing(digest, f"the layout {self.folder}") from None

    def roots(self) -> tuple[Descriptor, ...]:
        """What `index.json` lists.

        Raises:
            VerificationError: the folder is not an image layout.
        """
        path = self.folder / "index.json"
        try:
            return tuple(Descriptor.parse(item) for item in json.loads(path.read_bytes())["manifests"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise VerificationError(f"{self.folder} is not an OCI image layout: {path.name}: {why}") from error

    def root(self, name: str | None = None) -> Descriptor:
        """The one that `index.json` lists, or the one of that name (`org.opencontainers.image.ref.name`).

        Raises:
            VerificationError: there is none, or several.
        """
        found = [root for root in self.roots() if name is None or root.annotations.get(_NAME) == name]
        if len(found) != 1:
            what = f"named {name!r}" if name else "in index.json"
            raise VerificationError(f"the layout {self.folder} has {len(found)} images {what}, not one")
        return found[0]

    def write(self, content: bytes, media_type: str) -> Descriptor:
        """Keep some bytes."""
        descriptor = Descriptor.of(media_type, content)
        self._keep(descriptor.digest, (content,))
        return descriptor

    def add(self, descriptor: Descriptor, source: BinaryIO) -> None:
        """Keep what a stream has.

        Raises:
            VerificationError: it is not what the descriptor promises.
        """
        verifier = Verifier(descriptor.digest, descriptor.size)

        def pieces() -> Iterable[bytes]:
            while piece := source.read(_COPY):
                verifier.update(piece)
                yield piece
            verifier.finish(f"the content for {self.folder}")

        self._keep(descriptor.digest, pieces())

    def set_root(self, *roots: Descriptor) -> None:
        """Make these what `index.json` lists, replacing what it listed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._replace(self.folder / "oci-layout", (b'{"imageLayoutVersion":"1.0.0"}',))
        index = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            "manifests": [root.to_json() for root in roots],
        }
        self._replace(self.folder / "index.json", (json.dumps(index, separators=(",", ":")).encode(),))

    def _keep(self, digest: str, pieces: Iterable[bytes]) -> None:
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._replace(path, pieces)

    @staticmethod
    def _replace(path: Path, pieces: Iterable[bytes]) -> None:
        """Write beside it and rename, so that nobody ever sees half of it."""
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(pieces)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
