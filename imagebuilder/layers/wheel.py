"""A wheel file, checked before anything is made of it (PyPA "Binary distribution format", PEP 427)."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.errors import SourceError
from imagebuilder.layers import record
from imagebuilder.layers.layer_cache import install_key
from imagebuilder.layers.splice import splice
from imagebuilder.layers.zip_directory import BadZipError, Member, read_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE_NAME = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?)-(?P<version>[A-Za-z0-9._!+]+)(?:-[0-9][A-Za-z0-9._]*)?"
    r"-[A-Za-z0-9._]+-[A-Za-z0-9._]+-[A-Za-z0-9._]+\.whl\Z"
)
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_SIGNATURES: Final = ("RECORD.jws", "RECORD.p7s")
_LONGEST_PART, _LONGEST_PATH = 255, 3072
_METADATA_LIMIT = 64 << 20
_HINT = "it is damaged, or made to do harm; get it from where it was published, or use another version"


@dataclass(frozen=True)
class Limits:
    """How much a wheel may hold; `ratio` is how many times its own size, counted only above `free` bytes."""

    members: int = 500_000
    total: int = 64 << 30
    ratio: int = 200
    free: int = 256 << 20


class WheelFile:
    """An open wheel. What the constructor refuses was never read further than its directory and metadata.

    `name` is normalized (PEP 503), `version` as the file name has it. `sha256` may be given, in hex, by who
    verified it; it is found otherwise. `direct_url` is the text of the direct_url.json that it is installed with.

    Raises:
        SourceError: it is no wheel, or one that no installer should take.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sha256: str | None = None,
        direct_url: str = "",
        limits: Limits | None = None,
    ) -> None:
        self.path = Path(path)
        self.direct_url = direct_url
        self.name, self.version = split_name(self.path.name, self.path)
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}") from None
        weakref.finalize(self, os.close, self._descriptor)
        if sha256 is not None:
            self.sha256 = sha256
        try:
            self._check(limits or Limits())
        except BadZipError as error:
            raise self.bad(error) from None

    def __repr__(self) -> str:
        return f"<WheelFile {self.path.name}>"

    @cached_property
    def size(self) -> int:
        """The length of the wheel itself, in bytes."""
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadZipError("it is not a regular file")
        return status.st_size

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the wheel itself, in hex."""
        hasher = hashlib.sha256()
        for offset in range(0, self.size, 1 << 20):
            hasher.update(self._read(min(1 << 20, self.size - offset), offset))
        return hasher.hexdigest()

    @property
    def key(self) -> str:
        """What layers made of it are known by."""
        return install_key(self.sha256, self.direct_url)

    def pieces(self, member: Member) -> Iterator[tuple[bytes, bytes]]:
        """A file as a gzip member: pieces of it, each with what it inflates to.

        Raises:
            SourceError: it is not what the directory or RECORD promised; the pieces must then be thrown away.
        """
        row = self.record[member.name]
        # `new` looks the algorithm up, which takes longer than hashing most files.
        hasher = hashlib.sha256() if row.algorithm == "sha256" else row.algorithm and hashlib.new(row.algorithm)
        try:
            for compressed, data in splice(self._at, member):
                if hasher:
                    hasher.update(data)
                yield compressed, data
        except BadZipError as error:
            raise self.bad(error) from None
        if hasher and hasher.digest() != row.digest:
            raise self.bad(f"its member {member.name!r} is not what its RECORD says: the digests differ")

    def read(self, name: str) -> bytes:
        """A small file's content, verified; empty where there is no such file."""
        member = self.files.get(name)
        if member is None:
            return b""
        if member.size > _METADATA_LIMIT:
            raise self.bad(f"its member {name!r} is {member.size} bytes long, too long for what it is")
        return b"".join(data for _, data in self.pieces(member))

    def starts_with(self, member: Member, start: bytes) -> bool:
        """Whether a file's first bytes, not verified yet, are these."""
        try:
            return next((data for _, data in splice(self._at, member) if data), b"").startswith(start)
        except BadZipError as error:
            raise self.bad(error) from None

    def bad(self, why: object) -> SourceError:
        """The error for this wheel."""
        message = why.message if isinstance(why, SourceError) else str(why)
        return SourceError(f"{self.path.name} is not a wheel that can be installed: {message}", hint=_HINT)

    def _at(self, offset: int, count: int) -> bytes:
        return self._read(count, offset)

    def _read(self, count: int, offset: int) -> bytes:
        return os.pread(self._descriptor, count, offset)

    def _check(self, limits: Limits) -> None:
        members = read_directory(self._at, self.size)
        if len(members) > limits.members:
            raise BadZipError(f"it has {len(members)} members, more than {limits.members}")
        total = sum(member.size for member in members)
        if total > limits.total or total > max(limits.free, limits.ratio * self.size):
            raise BadZipError(f"it would unpack to {total} bytes from {self.size}, which no honest wheel does")
        self.files, self.folders = _sort_out(members)
        self.dist_info = self._find_dist_info()
        self.data_folders = tuple(
            folder for folder in _roots(self.files) if folder.endswith(".data") and self._is_named(folder[:-5])
        )
        self._check_metadata()
        self._check_record()

    def _find_dist_info(self) -> str:
        # The root alone: setuptools and others carry the metadata of what they vendor.
        found = [folder for folder in _roots(self.files) if folder.endswith(".dist-info")]
        if len(found) != 1:
            raise BadZipError(f"it has {len(found)} folders named *.dist-info at its root, not one")
        if not self._is_named(found[0].removesuffix(".dist-info")):
            raise BadZipError(f"its metadata is in {found[0]!r}, which belongs to another project or version")
        return found[0]

    def _is_named(self, stem: str) -> bool:
        name, _, version = stem.rpartition("-")
        return normalize(name) == self.name and same_version(version, self.version)

    def _check_metadata(self) -> None:
        for name in ("WHEEL", "METADATA", "RECORD"):
            if f"{self.dist_info}/{name}" not in self.files:
                raise BadZipError(f"it has no {self.dist_info}/{name}")
        # RECORD is read first and cannot vouch for itself: its row has no digest.
        own = f"{self.dist_info}/RECORD"
        self.record = {own: record.Row(own, "", b"", None)}
        self.record = record.parse(self.read(own))
        if not self.record.keys() - self._unhashed:
            # It vouches for nothing, as some tools leave it; uv installs such a wheel too. One that leaves out some
            # files is another thing: they may have been put there since.
            self.record = {name: self._row(member) for name, member in self.files.items() if name != own}
        for name in (*self.files, own):
            if name not in self.record:
                if name not in self._unhashed:
                    raise BadZipError(f"its RECORD does not list {name!r}")
                self.record[name] = record.Row(name, "", b"", None)
        version = _field(self.read(f"{self.dist_info}/WHEEL"), "Wheel-Version")
        if version.partition(".")[0] != "1":
            raise BadZipError(f"it is of wheel version {version[:20]!r}, which is not known")
        metadata = self.read(f"{self.dist_info}/METADATA")
        name, version = _field(metadata, "Name"), _field(metadata, "Version")
        if normalize(name) != self.name or not same_version(version, self.version):
            raise BadZipError(f"its METADATA is of {name[:100]!r} {version[:100]!r}")

    @property
    def _unhashed(self) -> set[str]:
        """What RECORD cannot vouch for (PEP 427, "The .dist-info directory")."""
        return {f"{self.dist_info}/{name}" for name in ("RECORD", *_SIGNATURES)}

    def _row(self, member: Member) -> record.Row:
        if member.name in self._unhashed:
            return record.Row(member.name, "", b"", None)
        hasher = hashlib.sha256()
        for _, data in splice(self._at, member):
            hasher.update(data)
        return record.Row(member.name, "sha256", hasher.digest(), member.size)

    def _check_record(self) -> None:
        unhashed = self._unhashed
        for path, row in self.record.items():
            member = self.files.get(path)
            if member is None:
                if path in unhashed:
                    continue
                raise BadZipError(f"its RECORD lists {path!r}, which it does not have")
            if not row.algorithm and path not in unhashed:
                raise BadZipError(f"its RECORD has no digest for {path!r}")
            if row.size is not None and row.size != member.size:
                raise BadZipError(f"its RECORD says that {path!r} has {row.size} bytes, it has {member.size}")


def split_name(file_name: str, shown: object = None) -> tuple[str, str]:
    """A wheel's project, normalized, and its version, of its file name.

    Raises:
        SourceError: it is no wheel's.
    """
    match = _FILE_NAME.match(file_name)
    if not match:
        raise SourceError(
            f"{shown or file_name} is not named as a wheel is, name-version-python-abi-platform.whl",
            hint="give it back the name that its build gave it",
        )
    return normalize(match["name"]), match["version"]


def normalize(name: str) -> str:
    """A project's name as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def same_version(one: str, other: str) -> bool:
    """Whether two texts are one version (PEP 440); in file names `_` stands for `-`."""
    if one == other:
        return True
    from packaging.version import InvalidVersion, Version  # an extra, and rarely needed

    try:
        return Version(one.replace("_", "-")) == Version(other.replace("_", "-"))
    except InvalidVersion:
        return False


def _sort_out(members: list[Member]) -> tuple[dict[str, Member], tuple[str, ...]]:
    """The files by path and the folders, where no path leaves the wheel or stands twice."""
    files: dict[str, Member] = {}
    folders: set[str] = set()
    above: set[str] = set()
    for member in members:
        path = member.name.removesuffix("/")
        problem = _problem(path, member)
        if problem:
            raise BadZipError(f"its member {member.name!r} {problem}")
        if path in files or path in folders:
            raise BadZipError(f"its member {member.name!r} is there twice")
        if member.is_folder:
            folders.add(path)
        else:
            files[path] = member
        while path := path.rpartition("/")[0]:
            if path in above:
                break
            above.add(path)
    both = (above | folders) & files.keys()
    if both:
        raise BadZipError(f"its member {min(both)!r} is a file and a folder")
    return files, tuple(sorted(folders))


def _problem(path: str, member: Member) -> str | None:
    parts = path.split("/")
    if path.startswith("/") or _DRIVE.match(path):
        return "has an absolute path"
    if "\\" in path or _CONTROL.search(path):
        return "has a backslash or a control character in its name"
    if not {"", ".", ".."}.isdisjoint(parts):
        return "has a path that is not plain, and may lead out of the wheel"
    if len(path.encode()) > _LONGEST_PATH or max(len(part.encode()) for part in parts) > _LONGEST_PART:
        return "has a name too long for a file system"
    return _wrong_kind(member)


def _wrong_kind(member: Member) -> str | None:
    kind = stat.S_IFMT(member.mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a symbolic link" if kind == stat.S_IFLNK else "is neither a file nor a folder"
    if member.is_folder != (kind == stat.S_IFDIR) and kind != 0:
        return "is a folder by its name and a file by its mode, or the reverse"
    return "is a folder with content" if member.is_folder and member.size else None


def _roots(files: dict[str, Member]) -> list[str]:
    return sorted({path.partition("/")[0] for path in files if "/" in path})


def _field(metadata: bytes, name: str) -> str:
    """The first header field of that name, empty where there is none."""
    for line in metadata.decode("utf-8", "replace").splitlines():
        key, colon, value = line.partition(":")
        if not line.strip():
            break
        if colon and key.strip().lower() == name.lower():
            return value.strip()
    return ""
