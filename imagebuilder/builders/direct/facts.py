"""What must be known about a base image to put files on it: read once per digest, remembered for ever."""

from __future__ import annotations

import json
import posixpath
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from imagebuilder.cache.notes import read_note, write_note

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LARGEST = 64 << 20  # bytes
_PYTHON = re.compile(r"python3\.(\d+)\Z")
_DIST_INFO = re.compile(r"([A-Za-z0-9._]+)-([^-/]+)\.dist-info\Z")
_MOST_LINKS = 40  # Linux follows as many (path_resolution(7))


class Folder(NamedTuple):
    """What an entry for a folder that is there must say again: a layer's entry replaces it."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Interpreter:
    """A Python of a base: the path to call it by, and its version; the patch level is 0 if unknown."""

    path: str
    full_version: tuple[int, int, int]

    @property
    def version(self) -> tuple[int, int]:
        """The version without its patch level."""
        return self.full_version[:2]


@dataclass(frozen=True)
class BaseFacts:
    """The files of a base as far as they matter: folders, links, accounts, Python, and the C library for wheel tags.

    Paths have no slash before. `odd_python` is an interpreter that steps would use, and that cannot be understood
    without running it.
    """

    folders: Mapping[str, Folder] = field(repr=False)
    links: Mapping[str, str] = field(repr=False)
    texts: Mapping[str, str] = field(repr=False)
    interpreter: Interpreter | None = None
    odd_python: str | None = None
    glibc: tuple[int, int] | None = None
    musl: tuple[int, int] | None = None

    def minor_of(self, path: str) -> int | None:
        """The minor version of the Python that a path leads to, by its name."""
        found = _PYTHON.search(follow(path.strip("/"), self.links))
        return int(found[1]) if found else None

    def installed(self, site_packages: str) -> dict[str, str]:
        """The versions of the packages in a folder, by their normalized names (PyPA "Recording installed projects")."""
        start = f"{follow(site_packages.strip('/'), self.links)}/"
        names = (path[len(start) :] for path in self.folders if path.startswith(start) and path.endswith(".dist-info"))
        found = (match for name in names if (match := _DIST_INFO.match(name)))
        return {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] for match in found}


def follow(path: str, links: Mapping[str, str]) -> str:
    """Where a path leads, links of folders on the way included; it ends where links lead in a circle."""
    for _ in range(_MOST_LINKS):
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            head = "/".join(parts[:end])
            if head in links:
                target = posixpath.join("/", posixpath.dirname(head), links[head])
                path = posixpath.normpath(posixpath.join(target, *parts[end:])).lstrip("/")
                break
        else:
            return path
    return path


class FactsMemory:
    """Facts by the digest of the base's manifest, on disk; a broken or foreign file is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, digest: str) -> BaseFacts | None:
        """What is remembered of a base."""
        content = read_note(self._path(digest), LARGEST)
        return None if content is None else decode_facts(content)

    def remember(self, digest: str, facts: BaseFacts) -> None:
        """Keep facts; what cannot be written is read again the next time."""
        write_note(self._path(digest), encode_facts(facts))

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest.replace(':', '-')}.json"


def encode_facts(facts: BaseFacts) -> bytes:
    """Facts as JSON; raise the version of their kind with every change."""
    return json.dumps(asdict(facts)).encode()


def decode_facts(content: bytes) -> BaseFacts | None:
    """What `encode_facts` wrote; None where it is anything else."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        data = json.loads(content)
        found = data["interpreter"]
        return BaseFacts(
            {str(path): Folder(*map(int, numbers)) for path, numbers in data["folders"].items()},
            {str(path): str(target) for path, target in data["links"].items()},
            {str(path): str(text) for path, text in data["texts"].items()},
            Interpreter(str(found["path"]), _triple(found["full_version"])) if found else None,
            None if data["odd_python"] is None else str(data["odd_python"]),
            _pair(data["glibc"]) if data["glibc"] else None,
            _pair(data["musl"]) if data["musl"] else None,
        )
    return None


def _triple(value: list[int]) -> tuple[int, int, int]:
    first, second, third = value
    return int(first), int(second), int(third)


def _pair(value: list[int]) -> tuple[int, int]:
    first, second = value
    return int(first), int(second)
