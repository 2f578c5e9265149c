"""Where an image lives: `registry/repository:tag@digest`."""

from __future__ import annotations

import re

from imagebuilder.errors import InvalidReferenceError
from imagebuilder.spec.value import Value

DOCKER_HUB = "docker.io"

# The grammar of the OCI distribution-spec ("Pulling manifests") and of distribution/reference.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z"
_DIGEST = r"sha256:[0-9a-f]{64}\Z|sha512:[0-9a-f]{128}\Z"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?\Z"
_REPOSITORY_LIMIT = 255


class Reference(Value):
    """A parsed image reference; `str()` gives the full form, `familiar` the short one people type."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse what people type; Docker Hub's rules fill in what they leave out.

        A first part is a host only where it has a dot, a colon, an upper-case letter or is `localhost`; a one-part
        name on Docker Hub is under `library/` (distribution/reference, "familiar names").

        Raises:
            InvalidReferenceError: the text is not a reference.
        """
        if not text or text != text.strip():
            raise _invalid(text, "it is empty or has spaces around it")
        if "://" in text:
            raise _invalid(text, "a reference has no scheme", f"write {text.split('://', 1)[1]!r}")
        rest, at, digest = text.partition("@")
        if at and not re.match(_DIGEST, digest):
            raise _invalid(text, f"{digest!r} is not a digest such as sha256:<64 hex digits>")
        first, slash, remainder = rest.partition("/")
        if slash and (first == "localhost" or re.search(r"[.:A-Z]", first)):
            registry, path = first, remainder
        else:
            registry, path = DOCKER_HUB, rest
        path, colon, tag = path.partition(":")
        if colon and not re.match(_TAG, tag):
            raise _invalid(text, f"{tag!r} is not a tag (letters, digits, '_', '.', '-'; at most 128)")
        if registry in ("index.docker.io", "registry-1.docker.io"):
            registry = DOCKER_HUB
        if registry == DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        return cls(check_registry(registry), check_repository(path, text), tag or None, digest or None)

    @property
    def name(self) -> str:
        """Registry and repository, without tag or digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def target(self) -> str:
        """What a manifest request asks for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    @property
    def familiar(self) -> str:
        """The short form: without Docker Hub's host and `library/`."""
        text = str(self)
        for prefix in (f"{DOCKER_HUB}/library/", f"{DOCKER_HUB}/"):
            if text.startswith(prefix):
                return text[len(prefix) :]
        return text

    def with_tag(self, tag: str) -> Reference:
        """The same repository under another tag."""
        if not re.match(_TAG, tag):
            raise _invalid(tag, "a tag has letters, digits, '_', '.', '-'; at most 128")
        return self.replace(tag=tag, digest=None)

    def with_digest(self, digest: str) -> Reference:
        """The same repository at a digest, the tag dropped."""
        if not re.match(_DIGEST, digest):
            raise _invalid(digest, "a digest is such as sha256:<64 hex digits>")
        return self.replace(tag=None, digest=digest)

    def __str__(self) -> str:
        return f"{self.name}{f':{self.tag}' if self.tag else ''}{f'@{self.digest}' if self.digest else ''}"


def check_registry(registry: str) -> str:
    """Return a registry's `host[:port]` if it is one."""
    host, _, port = registry.rpartition(":") if not registry.endswith("]") else (registry, "", "")
    if not re.match(_HOST, registry) or (host and port.isdigit() and not 0 < int(port) < 65536):
        raise _invalid(registry, "a registry is host or host:port, such as ghcr.io or localhost:5000")
    return registry


def check_repository(path: str, whole: str | None = None) -> str:
    """Return a repository path if it is one."""
    whole = path if whole is None else whole
    if not path or len(path) > _REPOSITORY_LIMIT:
        raise _invalid(whole, f"a repository has 1 to {_REPOSITORY_LIMIT} characters")
    for part in path.split("/"):
        if not re.match(_COMPONENT, part):
            written = path if path in whole else path.removeprefix("library/")
            would_do = all(re.match(_COMPONENT, lower) for lower in path.lower().split("/"))
            hint = f"write {whole.replace(written, written.lower())!r}" if would_do else None
            why = f"{part!r} has other than lower-case letters, digits and single '.', '_', '-' between"
            raise _invalid(whole, why, hint)
    return path


def _invalid(text: str, why: str, hint: str | None = None) -> InvalidReferenceError:
    return InvalidReferenceError(
        f"{text!r} is not an image reference: {why}",
        hint=hint or "write it as registry/name:tag, for example ghcr.io/team/app:1.0",
    )
