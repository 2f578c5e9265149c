"""What one registry, or one mirror, has: manifests and blobs (OCI distribution-spec "Pull")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.errors import RegistryError
from imagebuilder.registry import media_types, scope
from imagebuilder.registry.answer import API_HEADER, Failure
from imagebuilder.registry.descriptor import Descriptor, digest_like, is_digest
from imagebuilder.registry.manifest import Manifest
from imagebuilder.registry.session import Call, Session

if TYPE_CHECKING:
    from imagebuilder.registry.connection import Response
    from imagebuilder.spec.reference import Reference

MANIFEST_LIMIT = 4 << 20  # OCI distribution-spec "Pushing Manifests": registries take at least 4 MiB
DOWNLOADS = 2  # a damaged download is repeated once
_SMALL = 8 << 20
_ACCEPT = f"Accept: {media_types.ACCEPT}\r\n"
_ACCEPT_BLOB = "Accept: */*\r\n"


def resolve(session: Session, ref: Reference, attempts: int | None = None) -> Descriptor | None:
    """The digest, media type and size behind a tag, by HEAD, and by GET where HEAD does not tell.

    Raises:
        RegistryError: the registry could not say.
    """
    call = _manifest_call("HEAD", ref, attempts)
    response = session.send(call)
    headers = response.headers
    digest = headers.get("docker-content-digest", "")
    content_type = headers.get("content-type", "")
    length = headers.get("content-length", "")
    if response.status == 200 and is_digest(digest) and length.isdecimal():
        if ref.digest and ref.digest.partition(":")[0] == digest.partition(":")[0] and digest != ref.digest:
            raise RegistryError(f"reading {ref} failed: {ref.registry} answered with {digest}")
        return Descriptor(_media_type(content_type), digest, int(length))
    if response.status == 404 and API_HEADER in headers and "html" not in content_type:
        return None
    if response.status not in (200, 400, 404, 405):
        session.refuse(call, session.failure(response))
    found = find_manifest(session, ref, attempts)  # an odd answer to HEAD: the whole manifest decides
    return found.descriptor if found else None


def find_manifest(session: Session, ref: Reference, attempts: int | None = None) -> Manifest | None:
    """A manifest or index, its digest verified; None where the registry says that there is none.

    Raises:
        RegistryError: the registry could not say, or sent damaged bytes twice.
    """
    call = _manifest_call("GET", ref, attempts)
    problem = ""
    for _ in range(DOWNLOADS):
        response = session.send(call)
        if response.status != 200:
            failure = session.failure(response)
            if is_absence(failure):
                return None
            session.refuse(call, failure, _hint(failure))
        try:
            raw = response.read(MANIFEST_LIMIT)
        except OSError as error:
            problem = str(error)
            continue
        manifest = _manifest(ref, raw, _media_type(response.headers.get("content-type", "")))
        said = ref.digest or response.headers.get("docker-content-digest", "")
        if not is_digest(said) or said == manifest.digest:
            return manifest
        if digest_like(said, raw) == said:
            return Manifest(raw, manifest.media_type, said) if ref.digest else manifest
        problem = f"the bytes have digest {manifest.digest}, not {said}"
    raise RegistryError(f"reading {ref} failed: {ref.registry} sent a damaged manifest: {problem}")


def open_blob(
    session: Session, descriptor: Descriptor, ref: Reference, attempts: int | None = None, *, start: int = 0
) -> Response | None:
    """The answer that carries a blob, unverified; None where the registry says that there is none.

    From `start` on it is asked for the rest alone, which a 206 carries; a registry may still send all of it.

    Raises:
        RegistryError: the registry could not say.
    """
    target = f"{ref.repository}/blobs/{descriptor.digest}"
    scopes = scope.pull(ref.repository)
    long = descriptor.size > _SMALL
    headers = f"{_ACCEPT_BLOB}Range: bytes={start}-\r\n" if start else _ACCEPT_BLOB
    call = Call("GET", ref, target, scopes, "reading a blob of", headers, long=long, attempts=attempts)
    response = session.send(call)
    if response.status == 200 or (start and response.status == 206):
        return response
    failure = session.failure(response)
    return None if is_absence(failure) else session.refuse(call, failure, _hint(failure))


def blob_size(session: Session, ref: Reference, digest: str, attempts: int | None = None) -> int | None:
    """The length of a blob in bytes, by HEAD; None where the registry has none, or does not say.

    Raises:
        RegistryError: the registry could not say.
    """
    target = f"{ref.repository}/blobs/{digest}"
    call = Call("HEAD", ref, target, scope.pull(ref.repository), "looking for a blob of", attempts=attempts)
    response = session.send(call)
    response.discard()
    if response.status in (404, 405):
        return None
    if response.status != 200:
        session.refuse(call, session.failure(response))
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def is_absence(failure: Failure) -> bool:
    """Whether an answer proves that something is not there: a 404 by a registry, and not for want of an endpoint."""
    return failure.status == 404 and failure.from_registry and "UNSUPPORTED" not in failure.codes


def _manifest(ref: Reference, raw: bytes, media_type: str) -> Manifest:
    """Take an answer's body for a manifest; what proxies call text or JSON is named by its own content."""
    try:
        return Manifest.of(raw, media_type if "manifest" in media_type or "index" in media_type else None)
    except ValueError:
        raise RegistryError(
            f"reading {ref} failed: {ref.registry} answered 200 with {media_type or 'no type'}, which is no manifest",
            hint=f"check that {ref.registry} is a registry and no portal or proxy answers in its place",
        ) from None


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip()


def _manifest_call(method: str, ref: Reference, attempts: int | None) -> Call:
    target = f"{ref.repository}/manifests/{ref.target}"
    return Call(method, ref, target, scope.pull(ref.repository), "reading", _ACCEPT, attempts=attempts)


def _hint(failure: Failure) -> str | None:
    return None if failure.from_registry else "the answer does not come from a registry; check its name and the proxies"
