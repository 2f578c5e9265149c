"""Artifacts that refer to an image: `attach` and `list_referrers` (OCI distribution-spec 1.1 "Listing Referrers")."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from imagebuilder.errors import PushError, RegistryError, VerificationError
from imagebuilder.registry import fetch, media_types, scope
from imagebuilder.registry.descriptor import Descriptor
from imagebuilder.registry.manifest import Manifest
from imagebuilder.registry.pusher import push
from imagebuilder.registry.session import Call
from imagebuilder.registry.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.registry.client import Client
    from imagebuilder.registry.store import ContentStore
    from imagebuilder.spec.reference import Reference

_EMPTY = b"{}"
_NO_NOTES: Mapping[str, str] = {}
_TASK = "listing what refers to"
# The fallback tag has no compare-and-swap: whoever reads the index and writes it later than somebody else wipes that
# one's entry out. So everybody looks again after these seconds, or so many times what reading and writing took where
# that is more: by then whoever had read the index before our entry was in it has written it.
_SETTLE = ((0.2, 2.0), (0.6, 4.0))
_ROUNDS = 60
# Within one process they take turns, which spares them most of these rounds.
_TURNS = tuple(threading.Lock() for _ in range(16))


@dataclass(frozen=True)
class Attached:
    """An artifact in the registry; `fallback` is the tag whose index lists it, where there is no referrers API."""

    digest: str
    subject: str
    bytes_uploaded: int
    fallback: str | None = None


def artifact(
    subject: Descriptor, artifact_type: str, files: tuple[Descriptor, ...], notes: Mapping[str, str] = _NO_NOTES
) -> Manifest:
    """The manifest of an artifact about `subject` (image-spec "Guidelines for Artifact Usage"); no time is in it."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": {**Descriptor.of(media_types.OCI_EMPTY, _EMPTY).to_json(), "data": "e30="},
        "layers": [file.to_json() for file in files],
        "subject": Descriptor(subject.media_type, subject.digest, subject.size).to_json(),
        **({"annotations": dict(notes)} if notes else {}),
    }
    return Manifest.of(json.dumps(document, separators=(",", ":")).encode(), media_types.OCI_MANIFEST)


def attach(
    client: Client,
    ref: Reference,
    store: ContentStore,
    files: tuple[Descriptor, ...],
    artifact_type: str,
    *,
    notes: Mapping[str, str] = _NO_NOTES,
) -> Attached:
    """Push files out of a store as an artifact about the image behind `ref`, and see it listed.

    The same files attached again are the same artifact.

    Raises:
        VerificationError: the image does not exist, or the artifact is not listed in the end.
        PushError: the registry refuses it, or the media type is none.
        RegistryError: the registry could not.
    """
    subject = client.resolve(ref, mirrors=False)
    if subject is None:
        raise VerificationError(f"{ref} does not exist", hint="check the name and the tag")
    made = artifact(subject, artifact_type, files, notes)
    target = ref.with_digest(made.digest)
    pushed = push(client, _With(store, made), made.descriptor, target)
    entry = made.descriptor.replace(artifact_type=artifact_type, annotations=dict(notes))
    listed = _ask(client, ref.with_digest(subject.digest))
    fallback = None
    if listed is None or made.digest not in {found.digest for found in listed}:
        fallback = fallback_tag(subject.digest)
        _enter(client, ref.with_tag(fallback), entry)
    return Attached(made.digest, subject.digest, pushed.bytes_uploaded, fallback)


def list_referrers(client: Client, ref: Reference, artifact_type: str | None = None) -> tuple[Descriptor, ...]:
    """What refers to the image behind `ref`, of one type or of all.

    Raises:
        VerificationError: the image does not exist.
        RegistryError: the registry could not say.
    """
    subject = client.resolve(ref)
    if subject is None:
        raise VerificationError(f"{ref} does not exist", hint="check the name and the tag")
    found = _ask(client, ref.with_digest(subject.digest))
    if found is None:
        index = _index(client, ref.with_tag(fallback_tag(subject.digest)))
        found = index.children if index else ()
    return tuple(one for one in found if artifact_type in (None, one.artifact_type))


def fallback_tag(digest: str) -> str:
    """The tag whose index lists what refers to a digest (distribution-spec "Referrers Tag Schema")."""
    algorithm, _, value = digest.partition(":")
    return f"{algorithm}-{value}"[:128]


class _With:
    """A store, and the artifact's own two pieces."""

    def __init__(self, store: ContentStore, manifest: Manifest) -> None:
        self._store, self._own = store, MemoryStore()
        self._own.add(manifest.raw, manifest.media_type)
        self._own.add(_EMPTY, media_types.OCI_EMPTY)

    def open(self, digest: str) -> BinaryIO:
        return self._of(digest).open(digest)

    def size(self, digest: str) -> int:
        return self._of(digest).size(digest)

    def _of(self, digest: str) -> ContentStore:
        return self._own if digest in self._own.contents else self._store


def _ask(client: Client, ref: Reference) -> tuple[Descriptor, ...] | None:
    """What the referrers API lists; None where the registry has none."""
    session = client.session
    target = f"{ref.repository}/referrers/{ref.digest}"
    accept = f"Accept: {media_types.OCI_INDEX}\r\n"
    call = Call("GET", ref, target, scope.pull(ref.repository), _TASK, accept)
    found: dict[str, Descriptor] = {}
    deadline = session.deadline()
    while True:
        response = session.send(call, deadline)
        if response.status in (400, 404, 405, 406, 501):  # registries without it say all of these
            response.discard()
            return None
        if response.status != 200:
            session.refuse(call, session.failure(response))
        content_type, link = response.headers.get("content-type", ""), response.headers.get("link", "")
        try:
            page = Manifest.of(response.read(fetch.MANIFEST_LIMIT), media_types.OCI_INDEX).children
        except (OSError, ValueError) as error:
            if "json" not in content_type:  # a portal or a catch-all page, and no registry's answer
                return None
            raise RegistryError(f"{_TASK} {ref} failed: {ref.registry} sent a broken index: {error}") from None
        before = len(found)
        found.update((one.digest, one) for one in page)
        following = link.partition("<")[2].partition(">")[0]
        if not following or len(found) == before:
            return tuple(found.values())
        request = session.request(call, ref)
        call = call._replace(target=session.transport.follow(request, request.location, following))


def _enter(client: Client, tag: Reference, entry: Descriptor) -> None:
    """Put an entry into the index behind the fallback tag, so that neither it nor anybody else's is lost.

    Raises:
        VerificationError: it was overwritten again and again.
    """
    clock, turn = client.session.clock, _TURNS[hash(str(tag)) % len(_TURNS)]
    calm, took = 0, 0.0
    for _ in range(_ROUNDS):
        with turn:
            began = clock.monotonic()
            index = _index(client, tag)
            there = index is not None and entry.digest in {child.digest for child in index.children}
            if not there:
                merged = _merged(index, entry)
                client.put_manifest(tag, merged.raw, merged.media_type)
                calm, took = 0, max(took, clock.monotonic() - began)
        if there:
            if calm == len(_SETTLE):
                return
            least, times = _SETTLE[calm]
            clock.sleep(max(least, times * took))
            calm += 1
    raise VerificationError(
        f"{entry.digest} was pushed, but others who attach to the same image overwrite the index {tag} all the time",
        hint="try again when they are done; nothing is uploaded twice",
    )


def _index(client: Client, tag: Reference) -> Manifest | None:
    found = client.find_manifest(tag, mirrors=False)
    if found is not None and not found.is_index:
        raise PushError(f"{tag} is not an index, so it cannot list what refers to the image", hint="delete that tag")
    return found


def _merged(index: Manifest | None, entry: Descriptor) -> Manifest:
    """The index with one entry more; what others wrote into it stays."""
    document = dict(index.document) if index else {}
    listed = [*document.get("manifests", ()), entry.to_json()]
    document |= {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": listed}
    return Manifest.of(json.dumps(document, separators=(",", ":")).encode(), media_types.OCI_INDEX)
