"""What must be known about a base image to put files on it: read once per digest, remembered for ever."""

from __future__ import annotations

import gzip
import io
import json
import os
import posixpath
import re
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

_VERSION = 2
_TEXTS = ("etc/passwd", "etc/group", "var/lib/dpkg/status", "lib/apk/db/installed")
_SKELETON = "etc/skel/"  # what a new home holds (useradd(8))
_PYTHON = re.compile(r"python3\.(\d+)\Z")
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True)
class Interpreter:
    """The first python3 on a base's PATH: the path to call it by, and its version; the patch level is 0 if unknown."""

    path: str
    full_version: tuple[int, int, int]

    @property
    def version(self) -> tuple[int, int]:
        """The version without its patch level."""
        return self.full_version[:2]


@dataclass(frozen=True)
class BaseFacts:
    """The files of a base as far as they matter: folders, accounts, Python, and the C library for wheel tags."""

    folders: frozenset[str] = field(repr=False)
    texts: Mapping[str, str] = field(repr=False)
    interpreter: Interpreter | None = None
    glibc: tuple[int, int] | None = None
    musl: tuple[int, int] | None = None

    def has_folder(self, path: str) -> bool:
        """Whether a folder of the image is the base's."""
        return path.strip("/") in self.folders or path in ("/", "")

    def user(self, name: str) -> tuple[int, int] | None:
        """The ids of a user of the base."""
        for line in self.texts.get("etc/passwd", "").splitlines():
            parts = line.split(":")
            if len(parts) > 3 and parts[0] == name and parts[2].isdigit() and parts[3].isdigit():
                return int(parts[2]), int(parts[3])
        return None


class BaseTree:
    """The merged tree of a base's layers, fed layer by layer (OCI image-spec, "Image Layer Filesystem Changeset")."""

    def __init__(self) -> None:
        self._folders: set[str] = set()
        self._links: dict[str, str] = {}
        self._files: set[str] = set()
        self._texts: dict[str, str] = {}

    def add_layer(self, stream: BinaryIO) -> None:  # noqa: C901, PLR0912 - one branch per kind of entry
        """Apply one uncompressed or gzip layer.

        Raises:
            tarfile.TarError: it is not a tar archive, or is compressed in a way this Python does not read.
        """
        # Whiteouts hide what lower layers have, never what the same layer has: they are applied to a copy of the rest.
        added_files: dict[str, str | None] = {}
        added_folders: set[str] = set()
        gone: list[str] = []
        opaque: list[str] = []
        with tarfile.open(fileobj=_uncompressed(stream), mode="r|") as tar:
            for entry in tar:
                path = posixpath.normpath(entry.name).lstrip("/")
                folder, name = posixpath.split(path)
                if name == _OPAQUE:
                    opaque.append(folder)
                elif name.startswith(_WHITEOUT):
                    gone.append(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
                elif entry.isdir():
                    added_folders.add(path)
                elif entry.issym():
                    added_files[path] = entry.linkname
                else:
                    added_files[path] = None
                    if entry.isreg() and (path in _TEXTS or path.startswith(_SKELETON)):
                        content = tar.extractfile(entry)
                        self._texts[path] = content.read().decode(errors="replace") if content else ""
        for path in opaque:
            self._remove_below(path)
        for path in gone:
            self._remove(path)
        for path, target in added_files.items():
            self._remove(path)
            if target is None:
                self._files.add(path)
            else:
                self._links[path] = target
        for path in added_folders:
            self._files.discard(path)
            self._links.pop(path, None)
            self._folders.add(path)

    def facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """What the tree says; `environ` is the config's, for its PATH."""
        texts = {path: text for path, text in self._texts.items() if path in self._files}
        accounts = {path: text for path, text in texts.items() if path.startswith("etc/")}
        return BaseFacts(
            frozenset(self._folders | {path for path in self._links if self._resolve(path) in self._folders}),
            accounts,
            self._interpreter(environ, texts.get("var/lib/dpkg/status", "")),
            _package_version(texts.get("var/lib/dpkg/status", ""), r"Package: libc6\n(?:.+\n)*?Version: (\d+)\.(\d+)"),
            _package_version(texts.get("lib/apk/db/installed", ""), r"P:musl\nV:(\d+)\.(\d+)"),
        )

    def _interpreter(self, environ: Mapping[str, str], packages: str) -> Interpreter | None:
        for folder in environ.get("PATH", "").split(":"):
            place = posixpath.join(folder.strip("/"), "python3")
            real = self._resolve(place)
            found = _PYTHON.search(real) if real in self._files else None
            if found:
                minor = int(found[1])
                return Interpreter(f"/{place}", (3, minor, _patch_level(minor, environ, packages)))
        return None

    def _resolve(self, path: str) -> str:
        """Follow links, those of folders on the way included."""
        for _ in range(40):
            parts = path.split("/")
            for end in range(1, len(parts) + 1):
                head = "/".join(parts[:end])
                if head in self._links:
                    target = posixpath.join("/", posixpath.dirname(head), self._links[head])
                    path = posixpath.normpath(posixpath.join(target, *parts[end:])).lstrip("/")
                    break
            else:
                return path
        return path

    def _remove(self, path: str) -> None:
        self._files.discard(path)
        self._links.pop(path, None)
        if path in self._folders:
            self._folders.discard(path)
            self._remove_below(path)

    def _remove_below(self, path: str) -> None:
        prefix = f"{path}/" if path else ""
        self._files = {item for item in self._files if not item.startswith(prefix)}
        self._folders = {item for item in self._folders if not item.startswith(prefix)}
        self._links = {item: target for item, target in self._links.items() if not item.startswith(prefix)}


class FactsMemory:
    """Facts by the digest of the base's manifest, on disk; a broken or foreign file is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, digest: str) -> BaseFacts | None:
        """What is remembered of a base."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            data = json.loads(self._path(digest).read_text(encoding="utf-8"))
            if data["version"] == _VERSION:
                found = data["interpreter"]
                return BaseFacts(
                    frozenset(data["folders"]),
                    dict(data["texts"]),
                    Interpreter(found["path"], _triple(found["full_version"])) if found else None,
                    _pair(data["glibc"]) if data["glibc"] else None,
                    _pair(data["musl"]) if data["musl"] else None,
                )
        return None

    def remember(self, digest: str, facts: BaseFacts) -> None:
        """Keep facts; what cannot be written is read again the next time."""
        data = {**asdict(facts), "folders": sorted(facts.folders), "version": _VERSION}
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(dir=self._folder, prefix=".part-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file)
            Path(part).replace(self._path(digest))

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest.replace(':', '-')}.json"


def _uncompressed(stream: BinaryIO) -> BinaryIO:
    # tarfile's own reading of compressed streams ends after the first gzip member.
    buffered = io.BufferedReader(cast("io.RawIOBase", stream), 1 << 16)
    return cast("BinaryIO", gzip.GzipFile(fileobj=buffered)) if buffered.peek(2)[:2] == b"\x1f\x8b" else buffered


def _package_version(text: str, pattern: str) -> tuple[int, int] | None:
    found = re.search(pattern, text)
    return (int(found[1]), int(found[2])) if found else None


def _patch_level(minor: int, environ: Mapping[str, str], packages: str) -> int:
    # The official Python images say it in a variable, Debian in its list of packages.
    said = re.match(rf"3\.{minor}\.(\d+)", environ.get("PYTHON_VERSION", ""))
    said = said or re.search(rf"Package: python3\.{minor}(?:-minimal)?\n(?:.+\n)*?Version: 3\.{minor}\.(\d+)", packages)
    return int(said[1]) if said else 0


def _triple(value: list[int]) -> tuple[int, int, int]:
    first, second, third = value
    return int(first), int(second), int(third)


def _pair(value: list[int]) -> tuple[int, int]:
    first, second = value
    return int(first), int(second)
