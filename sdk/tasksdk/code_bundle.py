"""The user's code as one archive, so that an image need not hold it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tasksdk.errors import UserInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

SUFFIX = ".tar.gz"
_SKIPPED = {"__pycache__", ".git", ".venv", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
_DIGITS = 32
_NAMES = 100
# Below the folder for temporary files: what is unpacked there is named after its content and never changes.
UNPACKED = "tasksdk-code-"


class CodeBundle:
    """A gzipped archive at a path or a URL, named after its content: the same code makes the same bytes."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @property
    def digest(self) -> str:
        """What the archive is named after."""
        return self.uri.rstrip("/").rpartition("/")[2].removesuffix(SUFFIX)

    def arguments(self) -> list[str]:
        """What the executor is told about it."""
        return ["--code-bundle", self.uri]

    @classmethod
    def build(cls, root: str | os.PathLike[str], folder: str, *, everything: bool = False) -> CodeBundle:
        """Pack the code below `root` into `folder`: the modules that are loaded now, or all files.

        Raises:
            UserInputError: no such folder, or nothing to pack.
        """
        from pathlib import Path

        top = Path(root).resolve()
        if not top.is_dir():
            raise UserInputError(f"there is no folder {top} to bundle")
        files = sorted(set(_all_files(top) if everything else _loaded_files(top)))
        if not files:
            raise UserInputError(f"no code below {top} is loaded", hint="bundle the folder that holds your modules")
        from tasksdk.types import storage

        data = _pack(top, files)
        uri = storage.join(folder, _digest(data) + SUFFIX)
        if not storage.exists(uri):
            storage.write(uri, data)
        return cls(uri)

    def extract(self, destination: str | os.PathLike[str]) -> Path:
        """Unpack into `destination`, which appears complete or not at all; one that is there is left as it is.

        Raises:
            UserInputError: there is no archive, it is damaged, or it is hostile.
        """
        from pathlib import Path

        target = Path(os.path.abspath(destination))  # noqa: PTH100 - links in the path are the caller's
        return target if target.is_dir() else _extracted(target, self._read, self.uri)

    def install(self, destination: str | None = None) -> Path:
        """Unpack, and let Python import from it first."""
        if destination is not None:
            found = self.extract(destination)
        elif self._is_named_after_its_content:
            found = self.extract(_own_folder() / self.digest)
        else:
            # Two bundles of one name, or one that was written anew, are not each other's.
            data = self._read()
            target = _own_folder() / _digest(data)
            found = target if target.is_dir() else _extracted(target, lambda: data, self.uri)
        if str(found) not in sys.path:
            sys.path.insert(0, str(found))
        return found

    def _read(self) -> bytes:
        from tasksdk.types import storage

        try:
            data = storage.read(self.uri)
        except OSError as error:
            raise UserInputError(f"the code bundle {self.uri} cannot be read: {error}") from None
        if self._is_named_after_its_content and _digest(data) != self.digest:
            raise UserInputError(f"the code bundle {self.uri} is damaged: it is not what it is named after")
        return data

    @property
    def _is_named_after_its_content(self) -> bool:
        return len(self.digest) == _DIGITS and not self.digest.strip("0123456789abcdef")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CodeBundle) and self.uri == other.uri

    def __hash__(self) -> int:
        return hash(self.uri)

    def __repr__(self) -> str:
        return f"CodeBundle({self.uri!r})"


def _digest(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()[:_DIGITS]


def _extracted(target: Path, content: Callable[[], bytes], uri: str) -> Path:
    """The folder with the content of an archive, which appears complete or not at all."""
    import fcntl
    import shutil

    from tasksdk.code_archive import unpack

    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if target.is_dir():
            return target
        partial = target.with_name(f".{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            unpack(content(), partial, uri)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _own_folder() -> Path:
    """A folder for temporary files that this user alone can write into: code is imported from it.

    Raises:
        UserInputError: other users have taken all of its names.
    """
    import stat
    import tempfile
    from contextlib import suppress
    from pathlib import Path

    for number in range(_NAMES):
        path = Path(tempfile.gettempdir(), f"{UNPACKED}{os.getuid()}" + (f"-{number}" if number else ""))
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return path
    raise UserInputError(
        f"{path} and all folders before it are not this user's alone", hint="set TMPDIR to a folder of your own"
    )


def _loaded_files(top: Path) -> Iterator[Path]:
    from pathlib import Path

    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py"):
            continue
        path = Path(file).resolve()
        if path.is_relative_to(top) and not _skipped(path.relative_to(top)) and path.is_file():
            yield path


def _all_files(top: Path) -> Iterator[Path]:
    for path in top.rglob("*"):
        if path.is_file() and path.resolve().is_relative_to(top) and not _skipped(path.relative_to(top)):
            yield path


def _skipped(relative: Path) -> bool:
    return not _SKIPPED.isdisjoint(relative.parts) or "site-packages" in relative.parts or relative.suffix == ".pyc"


def _pack(top: Path, files: Iterable[Path]) -> bytes:
    import gzip
    import io
    import tarfile

    packed = io.BytesIO()
    # No times, owners or names of this machine: the same files make the same bytes.
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in files:
            member = tarfile.TarInfo(path.relative_to(top).as_posix())
            data = path.read_bytes()
            member.size = len(data)
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()
