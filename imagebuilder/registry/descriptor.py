"""Content by its digest: `Descriptor` (OCI image-spec "Content Descriptors")."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from imagebuilder.errors import VerificationError
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOTHING: Final[Mapping[str, str]] = {}
_HEX_LENGTH = {"sha256": 64, "sha512": 128}


class Descriptor(Value):
    """A digest with its media type and size in bytes; `platform` only where an index says it."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = _NOTHING
    artifact_type: str | None = None
    urls: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash((self.digest, self.size))

    @classmethod
    def parse(cls, value: object) -> Descriptor:
        """Read a descriptor out of parsed JSON.

        Raises:
            ValueError: it is not a descriptor; a digest of an unknown kind is refused here too.
        """
        if not isinstance(value, dict):
            raise ValueError("a descriptor is a JSON object")  # noqa: TRY004 - one kind for bad bytes
        media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
        if not isinstance(media_type, str) or not isinstance(digest, str) or not is_digest(digest):
            raise ValueError(f"a descriptor has mediaType and digest, this one {media_type!r} and {digest!r}")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ValueError(f"the size of {digest} is {size!r}")
        annotations, urls, kind = value.get("annotations"), value.get("urls"), value.get("artifactType")
        return cls(
            media_type,
            digest,
            size,
            parse_platform(value.get("platform")),
            annotations if isinstance(annotations, dict) else _NOTHING,
            kind if isinstance(kind, str) else None,
            tuple(url for url in urls if isinstance(url, str)) if isinstance(urls, list) else (),
        )

    @classmethod
    def of(cls, media_type: str, content: bytes) -> Descriptor:
        """The descriptor of some bytes."""
        return cls(media_type, sha256(content), len(content))

    def to_json(self) -> dict[str, Any]:
        """The JSON object that an index or manifest lists."""
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform:
            value["platform"] = {"architecture": self.platform.architecture, "os": self.platform.os}
            if self.platform.variant:
                value["platform"]["variant"] = self.platform.variant
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        if self.urls:
            value["urls"] = list(self.urls)
        return value


def parse_platform(value: object) -> Platform | None:
    """The platform object of a descriptor or a config; None where it is missing, which is never linux/amd64."""
    if not isinstance(value, dict):
        return None
    system, architecture, variant = value.get("os"), value.get("architecture"), value.get("variant")
    if not isinstance(system, str) or not isinstance(architecture, str) or not system or not architecture:
        return None
    return _platform(system, architecture, variant if isinstance(variant, str) else "")


@lru_cache(256)
def _platform(system: str, architecture: str, variant: str) -> Platform:
    return Platform.of(system, architecture, variant)


def is_digest(text: str) -> bool:
    """Whether this is a digest of a kind that we can verify."""
    algorithm, _, value = text.partition(":")
    return len(value) == _HEX_LENGTH.get(algorithm) and not value.strip("0123456789abcdef")


def sha256(content: bytes) -> str:
    """The sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest_like(digest: str, content: bytes) -> str:
    """The digest of `content` with the algorithm that `digest` uses."""
    algorithm = digest.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


class Verifier:
    """Counts and hashes bytes as they pass, then says whether they were what a descriptor promised."""

    def __init__(self, digest: str, size: int | None = None) -> None:
        self.digest = digest
        self.size = size
        self.seen = 0
        self._algorithm = digest.partition(":")[0]
        self._hash = hashlib.new(self._algorithm)

    def update(self, piece: bytes) -> None:
        """Take the next bytes in."""
        self.seen += len(piece)
        self._hash.update(piece)

    @property
    def actual(self) -> str:
        """The digest of what has passed so far."""
        return f"{self._algorithm}:{self._hash.hexdigest()}"

    def problem(self) -> str | None:
        """What is wrong with what has passed, None where all is right."""
        if self.size is not None and self.seen != self.size:
            return f"{self.digest} has {self.size} bytes, these are {self.seen}"
        if self.actual != self.digest:
            return f"the bytes have digest {self.actual}, not {self.digest}"
        return None

    def finish(self, source: str) -> None:
        """Raise VerificationError where the bytes were others than promised."""
        problem = self.problem()
        if problem:
            raise VerificationError(f"{source}: {problem}", hint="the content is damaged; fetch or build it again")
