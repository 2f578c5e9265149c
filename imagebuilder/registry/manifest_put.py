"""Manifests into a repository, by digest or under a tag (OCI distribution-spec "Pushing Manifests")."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from imagebuilder.errors import PushError, RegistryError
from imagebuilder.registry import retry, scope
from imagebuilder.registry.descriptor import digest_like, is_digest, sha256
from imagebuilder.registry.session import Call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.registry.answer import Failure
    from imagebuilder.registry.client import Client
    from imagebuilder.registry.connection import Response
    from imagebuilder.registry.session import Session
    from imagebuilder.spec.reference import Reference

_TAKEN = frozenset({200, 201, 202, 204})
_TASK = "pushing the manifest of"
# Distribution writes its links in place: while somebody else pushes a blob to the same repository, it is not there for
# a moment. So what it does not know is asked for again after these seconds.
_BLINKS = (0.1, 0.4)
_UNKNOWN_BLOBS = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})


def put_manifest(client: Client, ref: Reference, raw: bytes, media_type: str) -> str:
    """Put a manifest, and return its digest; when an answer is lost, ask by HEAD before repeating.

    Raises:
        PushError: the registry refuses it, for example because the tag is immutable.
        DeniedError: we may not push there.
        RegistryError: the registry could not.
    """
    session = client.session
    digest = _checked(ref, raw, media_type)
    headers = f"Content-Type: {media_type}\r\nContent-Length: {len(raw)}\r\n"
    target = f"{ref.repository}/manifests/{ref.target}"
    call = Call("PUT", ref, target, scope.push(ref.repository), _TASK, headers, lambda: (raw,), once=True)
    deadline = session.deadline()
    attempt = 0
    blinks = iter(_BLINKS)
    while True:
        attempt += 1
        problem: OSError | Response
        try:
            problem = response = session.send(call, deadline)
        except OSError as error:
            problem = error
        else:
            if response.status in _TAKEN:
                response.discard()
                _compare(ref, digest, response.headers.get("docker-content-digest", ""))
                return digest
            if response.status not in retry.STATUSES:
                failure = session.failure(response)
                if _was_blink(session, failure, blinks):
                    continue
                if _is_there(client, ref, digest):
                    return digest
                _refuse(client, ref, digest, call, failure)
        session.transport.pause(session.request(call, ref), attempt, deadline, problem)
        if _is_there(client, ref, digest):
            return digest


def _checked(ref: Reference, raw: bytes, media_type: str) -> str:
    """The digest of what is to be put, if that can be put there."""
    digest = digest_like(ref.digest, raw) if ref.digest else sha256(raw)
    if ref.digest and digest != ref.digest:
        raise PushError(f"{_TASK} {ref} failed: the manifest has digest {digest}", hint="build the image again")
    if not media_type.isascii() or not media_type.isprintable():
        raise PushError(f"{_TASK} {ref} failed: {media_type!r} is not a media type")
    return digest


def _was_blink(session: Session, failure: Failure, blinks: Iterator[float]) -> bool:
    """Whether a refusal may be over by now, having waited a moment."""
    pause = None if _UNKNOWN_BLOBS.isdisjoint(failure.codes) else next(blinks, None)
    if pause is not None:
        session.clock.sleep(pause)
    return pause is not None


def _compare(ref: Reference, digest: str, said: str) -> None:
    if is_digest(said) and said.partition(":")[0] == digest.partition(":")[0] and said != digest:
        raise PushError(f"{_TASK} {ref} failed: {ref.registry} stored {said} in place of {digest}")


def _is_there(client: Client, ref: Reference, digest: str) -> bool:
    """Whether the manifest is where it should be, although its answer was lost or a refusal."""
    found = _standing(client, ref)
    return found == digest


def _standing(client: Client, ref: Reference) -> str | None:
    """The digest behind the target now; None where there is none, or the registry does not let us see."""
    try:
        found = client.resolve(ref, mirrors=False)
    except RegistryError:
        return None
    return found.digest if found else None


def _refuse(client: Client, ref: Reference, digest: str, call: Call, failure: Failure) -> NoReturn:
    if failure.status == 401 or (failure.status == 403 and not ref.tag):
        client.session.refuse(call, failure)
    what = f"{_TASK} {ref} failed: {ref.registry} answered {failure.text}"
    standing = _standing(client, ref) if ref.tag and not ref.digest else None
    if standing:
        raise PushError(
            f"{what}; the tag already points to {standing}, not to {digest}, and seems to be immutable",
            hint="push under another tag, or delete the tag first",
        )
    if failure.status == 403:
        client.session.refuse(call, failure)
    if failure.status == 413:
        raise PushError(f"{what}; a proxy before it limits the size of requests", hint="raise that limit")
    raise PushError(what)
