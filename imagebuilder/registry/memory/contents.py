"""What a registry in memory keeps, and its answers to the API's requests (OCI distribution-spec)."""

from __future__ import annotations

import json
import re
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from imagebuilder.registry import media_types
from imagebuilder.registry.descriptor import digest_like, is_digest, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = r"(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
_ROUTES = tuple(
    (kind, re.compile(rf"/v2/{_NAME}/{pattern}\Z"))
    for kind, pattern in (
        ("manifest", r"manifests/(?P<target>[^/]+)"),
        ("upload", r"blobs/uploads/(?P<target>[^/]*)"),
        ("blob", r"blobs/(?P<target>[^/]+)"),
        ("tags", r"tags/list(?P<target>)"),
        ("referrers", r"referrers/(?P<target>[^/]+)"),
    )
)


class Answer(NamedTuple):
    """Status, headers and body."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


class Asked(NamedTuple):
    """A request, its body read."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass
class Repository:
    """Blobs, manifests by digest as (media type, bytes), and tags."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Contents:
    """Repositories by name, and the uploads under way; `referrers` as distribution 3 has them, and 2.8 has not."""

    def __init__(self, *, immutable_tags: bool = False, referrers: bool = False) -> None:
        self.referrers = referrers
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, bytearray] = {}
        self.immutable_tags = immutable_tags
        self._lock = threading.RLock()

    def repository(self, name: str) -> Repository:
        """A repository, made where it is missing."""
        with self._lock:
            return self.repositories.setdefault(name, Repository())

    def answer(self, asked: Asked) -> Answer:
        """Answer one request."""
        path, query = urlsplit(asked.path).path, parse_qs(urlsplit(asked.path).query)
        if path in ("/v2/", "/v2"):
            return Answer(200, {"Content-Type": "application/json"}, b"{}")
        for kind, pattern in _ROUTES:
            if match := pattern.match(unquote(path)):
                with self._lock:
                    if kind == "upload":
                        return self._upload(asked, match["name"], match["target"], query)
                    given = {"manifest": self._manifest, "blob": self._blob, "tags": self._tags}
                    return given.get(kind, self._referrers)(asked, match["name"], match["target"])
        return error(404, "NOT_FOUND", "page not found")

    def _manifest(self, asked: Asked, name: str, target: str) -> Answer:
        if asked.method == "PUT":
            return self._put_manifest(asked, name, target)
        repository = self.repositories.get(name)
        if repository is None:
            return error(404, "NAME_UNKNOWN", "repository name not known to registry")
        digest = target if is_digest(target) else repository.tags.get(target, "")
        if digest not in repository.manifests:
            return error(404, "MANIFEST_UNKNOWN", f"manifest unknown: {target}")
        media_type, raw = repository.manifests[digest]
        if "application/vnd.oci" in media_type and media_type not in asked.headers.get("accept", ""):
            return error(
                404, "MANIFEST_UNKNOWN", "OCI manifest found, but accept header does not support OCI manifests"
            )
        return Answer(200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, raw)

    def _put_manifest(self, asked: Asked, name: str, target: str) -> Answer:
        repository = self.repository(name)
        try:
            document = json.loads(asked.body)
        except ValueError:
            return error(400, "MANIFEST_INVALID", "manifest invalid")
        digest = digest_like(target, asked.body) if is_digest(target) else sha256(asked.body)
        if is_digest(target) and digest != target:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        listed = [document["config"]] if "config" in document else []
        listed += [layer for layer in document.get("layers", ()) if not media_types.is_foreign(layer["mediaType"])]
        for part in listed:
            if part["digest"] not in repository.blobs:
                return error(400, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {part['digest']}")
        for child in document.get("manifests", ()):
            if child["digest"] not in repository.manifests:
                return error(400, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {child['digest']}")
        if not is_digest(target):
            if self.immutable_tags and repository.tags.get(target, digest) != digest:
                why = f"The image tag '{target}' already exists and cannot be overwritten because the tag is immutable."
                return error(400, "TAG_INVALID", why)
            repository.tags[target] = digest
        repository.manifests[digest] = (asked.headers.get("content-type", ""), asked.body)
        headers = {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}
        if self.referrers and "subject" in document:
            headers["OCI-Subject"] = document["subject"]["digest"]
        return Answer(201, headers)

    def _referrers(self, _asked: Asked, name: str, subject: str) -> Answer:
        """The manifests that name a subject (OCI distribution-spec "Listing Referrers")."""
        if not self.referrers:
            return error(404, "NOT_FOUND", "page not found")
        listed = []
        for digest, (media_type, raw) in self.repository(name).manifests.items():
            document = json.loads(raw)
            if document.get("subject", {}).get("digest") == subject:
                kind = document.get("artifactType") or document.get("config", {}).get("mediaType")
                listed.append({"mediaType": media_type, "digest": digest, "size": len(raw), "artifactType": kind})
        index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": listed}
        return Answer(200, {"Content-Type": media_types.OCI_INDEX}, json.dumps(index).encode())

    def _blob(self, asked: Asked, name: str, digest: str) -> Answer:
        repository = self.repositories.get(name)
        if asked.method not in ("GET", "HEAD"):
            return error(405, "UNSUPPORTED", "The operation is unsupported.")
        if repository is None or digest not in repository.blobs:
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        return Answer(200, headers, repository.blobs[digest])

    def _upload(self, asked: Asked, name: str, session: str, query: dict[str, list[str]]) -> Answer:
        if asked.method == "POST":
            return self._begin(name, query.get("from", [""])[0], query.get("mount", [""])[0])
        if session not in self.uploads:
            return error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if asked.method == "PATCH":
            self.uploads[session] += asked.body
            return self._began(name, session)
        content = bytes(self.uploads.pop(session)) + asked.body
        if asked.method == "DELETE":
            return Answer(204, {})
        digest = query.get("digest", [""])[0]
        if not is_digest(digest) or digest_like(digest, content) != digest:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.repository(name).blobs[digest] = content
        return Answer(201, {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})

    def _begin(self, name: str, source: str, mount: str) -> Answer:
        if source in self.repositories and mount in self.repositories[source].blobs:
            self.repository(name).blobs[mount] = self.repositories[source].blobs[mount]
            return Answer(201, {"Location": f"/v2/{name}/blobs/{mount}", "Docker-Content-Digest": mount})
        session = str(uuid.uuid4())
        self.uploads[session] = bytearray()
        return self._began(name, session)

    def _began(self, name: str, session: str) -> Answer:
        end = max(0, len(self.uploads[session]) - 1)
        location = f"/v2/{name}/blobs/uploads/{session}?_state=a%2fb%3D"
        return Answer(202, {"Location": location, "Range": f"0-{end}", "Docker-Upload-UUID": session})

    def _tags(self, _asked: Asked, name: str, _target: str) -> Answer:
        if name not in self.repositories:
            return error(404, "NAME_UNKNOWN", "repository name not known to registry")
        listed = {"name": name, "tags": sorted(self.repositories[name].tags)}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(listed).encode())


def error(status: int, code: str, message: str, **headers: str) -> Answer:
    """An error as registries say it."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Answer(status, {"Content-Type": "application/json", **headers}, body)
