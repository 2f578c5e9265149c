"""Blobs into a repository: mount, one streamed request, or chunks (OCI distribution-spec "Pushing blobs")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from imagebuilder.errors import DeniedError, PushError, RegistryError
from imagebuilder.registry import retry, scope
from imagebuilder.registry.descriptor import Descriptor, Verifier
from imagebuilder.registry.http1 import ProtocolError
from imagebuilder.registry.session import Call
from imagebuilder.spec.reference import check_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imagebuilder.registry.answer import Failure
    from imagebuilder.registry.connection import Response
    from imagebuilder.registry.origin import Location
    from imagebuilder.registry.scope import Scopes
    from imagebuilder.registry.session import Session
    from imagebuilder.spec.reference import Reference

Source: TypeAlias = "Callable[[], BinaryIO]"
Progress: TypeAlias = "Callable[[int], None]"
# Registries disagree about which success this is: 201 by the spec, ECR says so to a PATCH, others 200, 202 or 204.
_TAKEN = frozenset({200, 201, 202, 204})
_PIECE = 1 << 18
_CHUNK = 16 << 20
# What registries answer when they have lost an upload: it starts over. 416 is a chunk out of order.
_LOST = frozenset({404, 416})
_EMPTY = "Content-Length: 0\r\n"
_OCTETS = "Content-Type: application/octet-stream\r\n"
_TASK = "pushing a blob to"


class _LocalChangeError(Exception):
    """The source gave other bytes than its descriptor promises."""


@dataclass(frozen=True)
class UploadSession:
    """Where a blob may be uploaded; `minimum` is the least size of a chunk, where the registry asks for chunks."""

    location: Location
    minimum: int | None = None


@dataclass(frozen=True)
class PushAccess:
    """Whether a registry lets us push; true or false, with why not."""

    allowed: bool
    reason: str = ""
    hint: str | None = None

    def __bool__(self) -> bool:
        return self.allowed


def mount(session: Session, ref: Reference, digest: str, source: str) -> UploadSession | None:
    """Take a blob over from another repository of the registry; None where that worked, else where to upload it.

    Raises:
        InvalidReferenceError: `source` is not the name of a repository.
        DeniedError: we may not mount from there.
        RegistryError: the registry could not.
    """
    query = f"?mount={digest}&from={check_repository(source)}"
    return _start(session, ref, query, scope.push(ref.repository, source))


def start(session: Session, ref: Reference) -> UploadSession:
    """Begin an upload.

    Raises:
        DeniedError: we may not push there.
        RegistryError: the registry could not.
    """
    begun = _start(session, ref, "", scope.push(ref.repository))
    if begun is None:
        raise RegistryError(f"{_TASK} {ref.name} failed: {ref.registry} answered 201 to an upload that was only begun")
    return begun


def can_push(session: Session, ref: Reference) -> PushAccess:
    """Whether we may push to a repository: an upload is begun and cancelled.

    Raises:
        RegistryError: the registry could not say.
    """
    try:
        begun = start(session, ref)
    except DeniedError as error:
        return PushAccess(allowed=False, reason=error.message, hint=error.hint)
    except RegistryError as error:
        if error.status in (400, 404, 405):  # ECR: the repository must exist; a read-only registry says 405
            hint = error.hint or f"create the repository {ref.repository} at {ref.registry} first"
            return PushAccess(allowed=False, reason=error.message, hint=hint)
        raise
    call = Call("DELETE", ref, begun.location, scope.push(ref.repository), "cancelling an upload to", once=True)
    try:
        session.send(call).discard()
    except (OSError, RegistryError):
        return PushAccess(allowed=True)  # an upload that is not cancelled is cleared away by the registry
    return PushAccess(allowed=True)


def upload(
    session: Session,
    ref: Reference,
    descriptor: Descriptor,
    source: Source,
    *,
    progress: Progress | None = None,
    begun: UploadSession | None = None,
) -> None:
    """Upload a blob, verifying the source as it is sent.

    A cut upload starts over, since distribution 2.8 ignores Content-Range and its session is dead after a cut; first
    it asks whether the blob arrived after all. `progress` is told how many bytes are sent, which falls back to 0 then.

    Raises:
        PushError: the source is not what its descriptor promises, or the registry refuses the blob for good.
        DeniedError: we may not push there.
        RegistryError: the registry could not be reached, or failed again and again.
    """
    body = _Body(ref, descriptor, source, progress)
    request = session.request(Call("PUT", ref, "", (), _TASK), ref)
    deadline, best = session.deadline(), 0
    attempt = damaged = 0
    while True:
        place, begun = begun or start(session, ref), None
        problem = _attempt(session, ref, place, body)
        if problem is None:
            return
        if isinstance(problem, str):
            damaged += 1
            if damaged > 1:
                raise _not_itself(ref, descriptor, problem)
            continue
        attempt += 1
        if body.best > best:  # as long as it gets further it may go on
            best, deadline = body.best, session.deadline()
        session.transport.pause(request, attempt, deadline, problem)
        if _arrived(session, ref, descriptor):
            return


class _Body:
    """A blob on its way: verified piece by piece, the last one held back until all of it is right."""

    def __init__(self, ref: Reference, descriptor: Descriptor, source: Source, progress: Progress | None) -> None:
        self.descriptor = descriptor
        self.best = 0  # the furthest that any attempt got
        self._ref = ref
        self._source = source
        self._progress = progress

    def pieces(self, size: int = _PIECE) -> Iterator[bytes]:
        """All of it, from the start."""
        descriptor = self.descriptor
        verifier = Verifier(descriptor.digest, descriptor.size)
        sent = 0
        with self._source() as stream:
            held = self._read(stream, size)
            while held:
                verifier.update(held)
                following = self._read(stream, size)
                if not following or verifier.seen > descriptor.size:
                    break
                yield held
                sent = self._passed(sent + len(held))
                held = following
        if problem := verifier.problem():
            raise _LocalChangeError(problem)
        if held:
            yield held
            self._passed(sent + len(held))

    def reread(self) -> str | None:
        """What is wrong with the source now, None where it is right."""
        progress, self._progress = self._progress, None
        try:
            for _ in self.pieces():
                pass
        except _LocalChangeError as error:
            return str(error)
        finally:
            self._progress = progress
        return None

    def _read(self, stream: BinaryIO, size: int) -> bytes:
        try:
            return stream.read(size)
        except OSError as error:  # not to be taken for the network's
            raise PushError(
                f"{_TASK} {self._ref.name} failed: cannot read {self.descriptor.digest}: {error.strerror}"
            ) from error

    def _passed(self, sent: int) -> int:
        self.best = max(self.best, sent)
        if self._progress:
            self._progress(sent)
        return sent


def _start(session: Session, ref: Reference, query: str, scopes: Scopes) -> UploadSession | None:
    call = Call("POST", ref, f"{ref.repository}/blobs/uploads/{query}", scopes, _TASK, _EMPTY)
    response = session.send(call)
    if response.status not in _TAKEN:
        failure = session.failure(response)
        hint = f"create the repository {ref.repository} at {ref.registry} first" if failure.status == 404 else None
        session.refuse(call, failure, hint)
    response.discard()
    if response.status == 201:
        return None
    request = session.request(call, ref)
    reference = response.headers.get("location")
    if not reference:
        raise RegistryError(f"{_TASK} {ref.name} failed: {ref.registry} began an upload without saying where")
    minimum = response.headers.get("oci-chunk-min-length", "")
    return UploadSession(
        session.transport.follow(request, request.location, reference), int(minimum) if minimum.isdigit() else None
    )


def _attempt(session: Session, ref: Reference, place: UploadSession, body: _Body) -> OSError | Response | str | None:
    """One attempt: None where the blob is there, a text where its bytes were wrong, else what may pass."""
    try:
        response = _send(session, ref, place, body)
    except _LocalChangeError as error:
        return str(error)
    except OSError as error:
        return error
    if response.status in _TAKEN:
        response.discard()
        return None
    if response.status in retry.STATUSES:
        return response
    failure = session.failure(response)
    if "DIGEST_INVALID" in failure.codes:
        if change := body.reread():
            raise _not_itself(ref, body.descriptor, change)
        return f"the stored content is right, yet {ref.registry} answered {failure.text}"
    if failure.status in _LOST or any(code.startswith("BLOB_UPLOAD") for code in failure.codes):
        return ProtocolError(f"it lost the upload: {failure.text}")
    raise _refusal(session, ref, body.descriptor, failure)


def _send(session: Session, ref: Reference, place: UploadSession, body: _Body) -> Response:
    """One attempt; the answer that ends it, whatever it says."""
    size, location = body.descriptor.size, place.location
    scopes = scope.push(ref.repository)
    chunk = session.settings.host(ref.registry).chunk_size
    if place.minimum:
        chunk = max(chunk or _CHUNK, place.minimum)
    if chunk is None or chunk >= size:
        headers = f"{_OCTETS}Content-Length: {size}\r\n"
        target = location.with_query(f"digest={body.descriptor.digest}")
        return session.send(Call("PUT", ref, target, scopes, _TASK, headers, body.pieces, long=True, once=True))
    start = 0
    for piece in body.pieces(chunk):
        headers = f"{_OCTETS}Content-Range: {start}-{start + len(piece) - 1}\r\nContent-Length: {len(piece)}\r\n"
        call = Call("PATCH", ref, location, scopes, _TASK, headers, _once(piece), long=True, once=True)
        response = session.send(call)
        if response.status not in _TAKEN:
            return response
        response.discard()
        if reference := response.headers.get("location"):  # the Range header is stale in some registries: not read
            location = session.transport.follow(session.request(call, ref), location, reference)
        start += len(piece)
    target = location.with_query(f"digest={body.descriptor.digest}")
    return session.send(Call("PUT", ref, target, scopes, _TASK, _EMPTY, once=True))


def _once(piece: bytes) -> Callable[[], tuple[bytes, ...]]:
    return lambda: (piece,)


def _arrived(session: Session, ref: Reference, descriptor: Descriptor) -> bool:
    """Whether a blob is there although its answer was lost."""
    target = f"{ref.repository}/blobs/{descriptor.digest}"
    call = Call("HEAD", ref, target, scope.push(ref.repository), "looking for a blob of")
    response = session.send(call)
    response.discard()
    return response.status == 200


def _not_itself(ref: Reference, descriptor: Descriptor, problem: str) -> PushError:
    return PushError(
        f"{_TASK} {ref.name} failed: the content of {descriptor.digest} is damaged: {problem}",
        hint="it was stored damaged, or changed while it was read, or on the way; build the image again",
    )


def _refusal(session: Session, ref: Reference, descriptor: Descriptor, failure: Failure) -> PushError:
    what = f"{_TASK} {ref.name} failed: {ref.registry} refused {descriptor.digest} ({descriptor.size} bytes)"
    if failure.status == 413:
        now = session.settings.host(ref.registry).chunk_size
        return PushError(
            f"{what}: {failure.text}; a proxy before it limits the size of requests",
            hint=f"set chunk_size for {ref.registry} below that limit (it is {now or 'not set'}), for example 8388608, "
            "or raise the limit (client_max_body_size in nginx)",
        )
    if failure.status in (401, 403):
        raise session.denied(ref, failure)
    return PushError(f"{what}: {failure.text}")
