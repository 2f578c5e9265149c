"""The user's code as one archive, so that an image need not hold it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tasksdk.errors import UserInputError

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SUFFIX = ".tar.gz"
_SKIPPED = {"__pycache__", ".git", ".venv", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
_MOST_BYTES = 1 << 30
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
        from hashlib import sha256

        from tasksdk.types import storage

        data = _pack(top, files)
        uri = storage.join(folder, sha256(data).hexdigest()[:32] + SUFFIX)
        if not storage.exists(uri):
            storage.write(uri, data)
        return cls(uri)

    def extract(self, destination: str | os.PathLike[str]) -> Path:
        """Unpack into `destination`, which appears complete or not at all; one that is there is left as it is.

        Raises:
            UserInputError: an archive that would write outside, or hold anything but files and folders.
        """
        import fcntl
        import shutil
        from pathlib import Path

        target = Path(os.path.abspath(destination))  # noqa: PTH100 - links in the path are the caller's
        if target.is_dir():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock")
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if target.is_dir():
                return target
            partial = target.with_name(f".{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            try:
                self._unpack(partial)
                partial.rename(target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return target

    def install(self, destination: str | None = None) -> Path:
        """Unpack, and let Python import from it first."""
        import tempfile

        folder = destination or os.path.join(tempfile.gettempdir(), f"{UNPACKED}{os.getuid()}", self.digest)  # noqa: PTH118
        found = self.extract(folder)
        if str(found) not in sys.path:
            sys.path.insert(0, str(found))
        return found

    def _unpack(self, folder: Path) -> None:
        import io
        import tarfile

        from tasksdk.types import storage

        folder.mkdir(mode=0o700)
        left = _MOST_BYTES
        try:
            with tarfile.open(fileobj=io.BytesIO(storage.read(self.uri)), mode="r:gz") as archive:
                for member in archive:
                    left -= member.size
                    path = _checked(folder, member, left, self.uri)
                    if member.isdir():
                        path.mkdir(parents=True, exist_ok=True)
                        continue
                    path.parent.mkdir(parents=True, exist_ok=True)
                    content = archive.extractfile(member)
                    assert content is not None
                    path.write_bytes(content.read())
                    path.chmod(0o755 if member.mode & 0o100 else 0o644)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise UserInputError(f"the code bundle {self.uri} cannot be unpacked: {error}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CodeBundle) and self.uri == other.uri

    def __hash__(self) -> int:
        return hash(self.uri)

    def __repr__(self) -> str:
        return f"CodeBundle({self.uri!r})"


def _checked(folder: Path, member: tarfile.TarInfo, left: int, uri: str) -> Path:
    parts = member.name.split("/")
    if member.name.startswith("/") or "\\" in member.name or not {"", ".", ".."}.isdisjoint(parts):
        raise UserInputError(f"the code bundle {uri} holds {member.name!r}, which leads outside of it")
    if not (member.isreg() or member.isdir()):
        raise UserInputError(f"the code bundle {uri} holds {member.name!r}, which is neither a file nor a folder")
    if left < 0:
        raise UserInputError(f"the code bundle {uri} unpacks to more than {_MOST_BYTES >> 20} MiB")
    return folder.joinpath(*parts)


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
