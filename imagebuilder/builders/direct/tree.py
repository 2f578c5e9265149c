"""The merged tree of a base's layers, fed layer by layer (OCI image-spec, "Image Layer Filesystem Changeset")."""

from __future__ import annotations

import gzip
import io
import posixpath
import re
import tarfile
from typing import TYPE_CHECKING, cast

from imagebuilder.builders.direct.facts import BaseFacts, Folder, Interpreter, follow
from imagebuilder.builders.direct.forward import Forward
from imagebuilder.layers import fast_zlib

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

# Where nothing says otherwise, steps have this PATH (BuildKit, util/system/path.go).
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_DPKG = "var/lib/dpkg/status"
_KEPT = ("etc/passwd", "etc/group", "etc/login.defs")
_SKELETON = "etc/skel/"  # what a new home holds (useradd(8))
_READ = (*_KEPT, _DPKG, *_APK)
_LARGEST_TEXT = 64 << 20
_PYTHON = re.compile(r"python3\.(\d+)\Z")
_PYTHON_NAME = re.compile(r"python[0-9.]*t?\Z")
_LIBC_NAME = re.compile(r"libc(?:\.so\.6|-2\.\d+\.so)\Z")
_LIBC_VERSION = re.compile(rb"GNU C Library [^\0\n]*?version (\d+)\.(\d+)")
_ELF = b"\x7fELF"
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_PIECE = 1 << 18
_ZSTD = b"\x28\xb5\x2f\xfd"


class UnreadableLayerError(ValueError):
    """A layer that this Python cannot read; the message says why."""


class BaseTree:
    """Folders, links, the names of files, and the few files whose content says something."""

    def __init__(self) -> None:
        self._folders: dict[str, Folder] = {}
        self._links: dict[str, str] = {}
        self._files: set[str] = set()
        self._hard: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._binaries: set[str] = set()
        self._glibc: tuple[int, int] | None = None

    def apply(self, changes: LayerChanges) -> None:
        """Put one layer on those before it."""
        self._texts |= changes.texts
        self._binaries -= changes.binaries.keys()
        self._binaries |= {path for path, is_binary in changes.binaries.items() if is_binary}
        self._glibc = changes.glibc or self._glibc
        # Whiteouts hide what lower layers have, never what the same layer has.
        for path in changes.opaque:
            self._remove_below(path)
        for path in changes.gone:
            self._remove(path)
        for path, target in changes.files.items():
            self._remove(path)
            self._above(path)
            if target is None:
                self._files.add(path)
            else:
                self._links[path] = target
        for path, folder in changes.folders.items():
            self._files.discard(path)
            self._links.pop(path, None)
            self._above(path)
            self._folders[path] = folder
        for path, target in changes.hard.items():
            self._hard[path] = target
            if target in self._texts:
                self._texts[path] = self._texts[target]

    def _above(self, path: str) -> None:
        """The folders above a path, which some archives have no entries for."""
        while path := path.rpartition("/")[0]:
            if path in self._folders or path in self._links:
                return
            self._folders[path] = Folder()

    def facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """What the tree says; `environ` is the config's, for its PATH."""
        texts = {path: text for path, text in self._texts.items() if path in self._files}
        packages = texts.get(_DPKG, "")
        apk = next((texts[path] for path in _APK if path in texts), "")
        interpreter, odd = self._interpreter(environ, packages)
        glibc = self._glibc or _package_version(packages, r"Package: libc6\n(?:.+\n)*?Version: (\d+)\.(\d+)")
        musl = _package_version(apk, r"P:musl\n(?:.+\n)*?V:(\d+)\.(\d+)")
        kept = {path: text for path, text in texts.items() if path in _KEPT or path.startswith(_SKELETON)}
        # A base may have both; what its own Python was linked with is what its package manager is made of.
        return BaseFacts(self._folders, self._links, kept, interpreter, odd, None if musl else glibc, musl)

    def _interpreter(self, environ: Mapping[str, str], packages: str) -> tuple[Interpreter | None, str | None]:
        """The first `python3` on the PATH, else the first `python`, as the shell of a step finds them."""
        for name in ("python3", "python"):
            for folder in environ.get("PATH", DEFAULT_PATH).split(":"):
                place = posixpath.join(folder.strip("/"), name)
                real = follow(place, self._links)
                if real not in self._files:
                    continue
                minor = self._minor(real)
                if minor is None:
                    return None, f"/{place}"
                return Interpreter(f"/{place}", (3, minor, _patch_level(minor, environ, packages))), None
        return None, None

    def _minor(self, real: str) -> int | None:
        names = [real, self._hard.get(real, ""), *(path for path, target in self._hard.items() if target == real)]
        is_binary = any(name in self._binaries for name in names)
        found = next((match for name in names if (match := _PYTHON.search(name))), None)
        return int(found[1]) if found and is_binary else None

    def _remove(self, path: str) -> None:
        self._files.discard(path)
        self._links.pop(path, None)
        self._hard.pop(path, None)
        if self._folders.pop(path, None) is not None:
            self._remove_below(path)

    def _remove_below(self, path: str) -> None:
        prefix = f"{path}/" if path else ""
        self._files = {item for item in self._files if not item.startswith(prefix)}
        self._folders = {item: folder for item, folder in self._folders.items() if not item.startswith(prefix)}
        self._links = {item: target for item, target in self._links.items() if not item.startswith(prefix)}
        self._hard = {item: target for item, target in self._hard.items() if not item.startswith(prefix)}


def read_layer(stream: BinaryIO, check: Callable[[], None] = lambda: None) -> LayerChanges:
    """What one uncompressed or gzip layer says, whatever is below it; `check` is called for each of its entries.

    Raises:
        UnreadableLayerError: it is not a tar archive, or is compressed in a way this Python does not read.
    """
    try:
        unpacked = _uncompressed(stream)
        with tarfile.open(fileobj=Forward(unpacked), mode="r:") as tar:
            changes = LayerChanges().read(tar, check)
        while unpacked.read(_PIECE):  # the stream is only known to be right at its end
            check()
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, *fast_zlib.ERRORS) as error:
        raise UnreadableLayerError(str(error) or "it ends too early") from error
    return changes


class LayerChanges:
    """What one layer says."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.binaries: dict[str, bool] = {}
        self.glibc: tuple[int, int] | None = None
        self.files: dict[str, str | None] = {}  # None: no link
        self.folders: dict[str, Folder] = {}
        self.hard: dict[str, str] = {}
        self.gone: list[str] = []
        self.opaque: list[str] = []

    def read(self, tar: tarfile.TarFile, check: Callable[[], None]) -> LayerChanges:
        """Take in an archive."""
        for entry in tar:
            check()
            path = _clean(entry.name)
            folder, name = posixpath.split(path)
            if name == _OPAQUE:
                self.opaque.append(folder)
            elif name.startswith(_WHITEOUT):
                self.gone.append(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
            elif entry.isdir():
                self.files.pop(path, None)
                self.folders[path] = Folder(entry.mode & 0o7777, entry.uid, entry.gid)
            else:
                self.folders.pop(path, None)
                self.files[path] = entry.linkname if entry.issym() else None
                if entry.islnk():
                    self.hard[path] = _clean(entry.linkname)
                elif entry.isreg():
                    self._keep(path, lambda at=entry: _content(tar, at), entry.size)  # type: ignore[misc]
        return self

    def _keep(self, path: str, content: Callable[[], bytes], size: int) -> None:
        """Look into a file where its name says that it matters."""
        name = path.rpartition("/")[2]
        if path in _READ or path.startswith(_SKELETON):
            if size <= _LARGEST_TEXT:
                self.texts[path] = content().decode(errors="surrogateescape")
        elif _LIBC_NAME.match(name) and size <= _LARGEST_TEXT:
            found = _LIBC_VERSION.search(content())
            self.glibc = (int(found[1]), int(found[2])) if found else self.glibc
        elif _PYTHON_NAME.match(name):
            self.binaries[path] = content()[:4] == _ELF


def _clean(path: str) -> str:
    cleaned = posixpath.normpath(path).lstrip("/")
    return "" if cleaned == "." else cleaned


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(entry)
    return stream.read() if stream else b""


def _uncompressed(stream: BinaryIO) -> BinaryIO:
    # tarfile's own reading of compressed streams ends after the first gzip member.
    is_buffered = isinstance(stream, io.BufferedReader)
    buffered = cast("io.BufferedReader", stream if is_buffered else io.BufferedReader(cast("io.RawIOBase", stream)))
    start = buffered.peek(4)[:4]
    if start == _ZSTD:
        try:
            from compression import zstd  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            raise UnreadableLayerError("it is compressed with zstd, which Python reads from 3.14 on") from None
        return cast("BinaryIO", zstd.ZstdFile(buffered))
    return fast_zlib.open_gzip(buffered) if start[:2] == b"\x1f\x8b" else buffered


def _package_version(text: str, pattern: str) -> tuple[int, int] | None:
    found = re.search(pattern, text)
    return (int(found[1]), int(found[2])) if found else None


def _patch_level(minor: int, environ: Mapping[str, str], packages: str) -> int:
    # The official Python images say it in a variable, Debian in its list of packages.
    said = re.match(rf"3\.{minor}\.(\d+)", environ.get("PYTHON_VERSION", ""))
    said = said or re.search(rf"Package: python3\.{minor}(?:-minimal)?\n(?:.+\n)*?Version: 3\.{minor}\.(\d+)", packages)
    return int(said[1]) if said else 0
