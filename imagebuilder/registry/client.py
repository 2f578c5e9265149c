"""Reading and writing one registry after another: `Client`."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, final

from imagebuilder.errors import RegistryError, VerificationError
from imagebuilder.registry import fetch, media_types, scope
from imagebuilder.registry.clock import Clock, SystemClock
from imagebuilder.registry.descriptor import Descriptor, Verifier, parse_platform
from imagebuilder.registry.mirror import Mirrors
from imagebuilder.registry.session import Call, Session
from imagebuilder.registry.settings import RegistrySettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from imagebuilder.registry.connection import Response
    from imagebuilder.registry.credentials import Credentials
    from imagebuilder.registry.manifest import Manifest
    from imagebuilder.registry.upload import Progress, PushAccess, Source, UploadSession
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference

_TAGS_LIMIT = 16 << 20
_CONFIG_LIMIT = 8 << 20
_LOOKING = "looking for a blob of"


@final
class Client:
    """Asks registries; safe for many threads, closes its connections as a context manager.

    Nothing is read from the environment: settings and credentials are given, and anonymous without.
    """

    def __init__(
        self,
        settings: RegistrySettings | None = None,
        credentials: Credentials | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings or RegistrySettings()
        self.session = Session(self.settings, credentials, clock or SystemClock())
        self._mirrors = Mirrors(self.settings, self.session.clock)
        self._platforms: dict[str, Platform | None] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.session.close()

    def resolve(self, ref: Reference, *, mirrors: bool = True) -> Descriptor | None:
        """The digest, media type and size behind a tag, by HEAD; None where the registry says there is none.

        Raises:
            RegistryError: it could not say.
        """
        if not mirrors:
            return fetch.resolve(self.session, ref)
        return self._mirrors.ask(ref, partial(fetch.resolve, self.session))

    def manifest(self, ref: Reference) -> Manifest:
        """A manifest or index, its digest verified.

        Raises:
            RegistryError: with status 404 where there is none; it could not say, or sent what has another digest.
        """
        found = self.find_manifest(ref)
        if found is None:
            raise RegistryError(f"{ref} does not exist", hint="check the name and the tag", status=404)
        return found

    def find_manifest(self, ref: Reference, *, mirrors: bool = True) -> Manifest | None:
        """As `manifest`, with None where the registry says there is none."""
        if not mirrors:
            return fetch.find_manifest(self.session, ref)
        return self._mirrors.ask(ref, partial(fetch.find_manifest, self.session))

    def platform_of(self, ref: Reference, manifest: Manifest) -> Platform | None:
        """The platform of a single image, from its config, which is asked for once for each digest.

        Raises:
            RegistryError: the config could not be read.
        """
        config = manifest.config
        if config is None or config.media_type not in media_types.CONFIGS:
            return None
        if config.digest not in self._platforms:
            if config.size > _CONFIG_LIMIT:
                raise RegistryError(
                    f"the config {config.digest} of {ref} has {config.size} bytes, more than any image's"
                )
            content = self.blob(ref, config)
            try:
                self._platforms[config.digest] = parse_platform(json.loads(content))
            except (ValueError, RecursionError):
                raise RegistryError(f"the config {config.digest} of {ref} is not JSON") from None
        return self._platforms[config.digest]

    def blob(self, ref: Reference, descriptor: Descriptor) -> bytes:
        """A small blob, digest and size verified.

        Raises:
            RegistryError: with status 404 where there is none; it could not say, or sent other bytes twice.
        """
        failure: Exception | None = None
        for _ in range(fetch.DOWNLOADS):
            try:
                return b"".join(self.stream_blob(ref, descriptor))
            except (VerificationError, OSError) as error:
                failure = error
        raise RegistryError(f"reading {descriptor.digest} of {ref.name} failed: {failure}") from failure

    def stream_blob(self, ref: Reference, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob in pieces; the last one comes only where digest and size of all are right.

        Raises:
            RegistryError: it could not say, or with status 404 that there is none.
            VerificationError: other bytes came than asked for.
            OSError: the connection broke on the way.
        """
        response = self.open_blob(ref, descriptor)
        verifier = Verifier(descriptor.digest, descriptor.size)
        held = b""
        try:
            for piece in response.stream():
                verifier.update(piece)
                if verifier.seen > descriptor.size:
                    break
                if held:
                    yield held
                held = piece
        finally:
            response.close()
        verifier.finish(f"{ref.registry} sent a damaged blob of {ref.name}")
        if held:
            yield held

    def open_blob(self, ref: Reference, descriptor: Descriptor, start: int = 0) -> Response:
        """A blob as it comes, for those who verify it themselves; the rest from `start` on where the answer is a 206.

        Raises:
            RegistryError: it could not say, or with status 404 that there is none.
        """
        response = self._mirrors.ask(ref, partial(fetch.open_blob, self.session, descriptor, start=start))
        if response is None:
            raise RegistryError(f"{ref.name} has no blob {descriptor.digest}", status=404)
        return response

    def has_blob(self, ref: Reference, digest: str) -> bool:
        """Whether a repository has a blob; mirrors are not asked, since this comes before pushing.

        Raises:
            RegistryError: the registry could not say.
        """
        call = Call(
            "HEAD", ref, f"{ref.repository}/blobs/{digest}", scope.push(ref.repository), "looking for a blob of"
        )
        response = self.session.send(call)
        response.discard()
        if response.status == 200:
            return True
        failure = self.session.failure(response)
        if failure.status in (404, 405):  # what cannot be asked is pushed
            return False
        return self.session.refuse(call, failure)

    def mount_blob(self, ref: Reference, digest: str, source: str) -> UploadSession | None:
        """Take a blob over from the repository `source` of the same registry; None where that worked.

        Raises:
            DeniedError: we may not mount from there.
            RegistryError: the registry could not.
        """
        from imagebuilder.registry import upload

        return upload.mount(self.session, ref, digest, source)

    def upload_blob(
        self,
        ref: Reference,
        descriptor: Descriptor,
        source: Source,
        *,
        progress: Progress | None = None,
        begun: UploadSession | None = None,
    ) -> None:
        """Upload a blob; `source` opens it anew each time, `begun` is a place that `mount_blob` gave.

        Raises:
            PushError: the source is not what its descriptor promises, or the registry refuses it.
            RegistryError: the registry could not.
        """
        from imagebuilder.registry import upload

        upload.upload(self.session, ref, descriptor, source, progress=progress, begun=begun)

    def put_manifest(self, ref: Reference, raw: bytes, media_type: str) -> str:
        """Put a manifest under the tag or digest of `ref`, and return its digest.

        Raises:
            PushError: the registry refuses it.
            RegistryError: the registry could not.
        """
        from imagebuilder.registry import manifest_put

        return manifest_put.put_manifest(self, ref, raw, media_type)

    def can_push(self, ref: Reference) -> PushAccess:
        """Whether we may push to a repository: an upload is begun and cancelled.

        Raises:
            RegistryError: the registry could not say.
        """
        from imagebuilder.registry import upload

        return upload.can_push(self.session, ref)

    def tags(self, ref: Reference) -> list[str]:
        """All tags of a repository, in the registry's order.

        Raises:
            RegistryError: it could not say, or with status 404 that it knows no such repository.
        """
        call = Call("GET", ref, f"{ref.repository}/tags/list", scope.pull(ref.repository), "listing the tags of")
        found: dict[str, None] = {}
        deadline = self.session.deadline()
        while True:
            response = self.session.send(call, deadline)
            if response.status != 200:
                failure = self.session.failure(response)
                if failure.status == 404 and failure.from_registry:
                    raise RegistryError(f"{ref.name} does not exist", status=404, codes=failure.codes)
                self.session.refuse(call, failure)
            try:
                listed = json.loads(response.read(_TAGS_LIMIT)).get("tags") or ()  # Nexus says null
            except (OSError, ValueError, AttributeError) as error:
                raise RegistryError(f"listing the tags of {ref.name} failed: {error}") from error
            before = len(found)
            found.update(dict.fromkeys(tag for tag in listed if isinstance(tag, str)))
            link = response.headers.get("link", "")
            following = link.partition("<")[2].partition(">")[0]
            if not following or 'rel="next"' not in link.replace("rel=next", 'rel="next"') or len(found) == before:
                return list(found)
            request = self.session.request(call, ref)
            call = call._replace(target=self.session.transport.follow(request, request.location, following))
