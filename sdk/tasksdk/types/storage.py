"""Files and folders behind a URI: local ones by the standard library, all others through fsspec."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any

from tasksdk.errors import ConversionError, MissingDependencyError

if TYPE_CHECKING:
    from pathlib import Path

_WITHOUT_FOLDERS = {"abfs", "abfss", "adl", "az", "gcs", "gs", "oci", "oss", "s3", "s3a"}


def local_path(uri: str) -> Path | None:
    """The path of a local URI; None for any other."""
    if uri.startswith("file://"):
        from urllib.parse import unquote

        uri = unquote(uri.removeprefix("file://").removeprefix("localhost"))
    if "://" in uri:
        return None
    from pathlib import Path

    return Path(uri)


def absolute(uri: str) -> str:
    """The same wherever it is read; an empty one stays empty."""
    return uri if not uri or "://" in uri else os.path.abspath(uri)  # noqa: PTH100 - links are kept, and pathlib is slow


def join(prefix: str, *parts: str) -> str:
    """The URI of something below a prefix."""
    return "/".join([prefix.rstrip("/") or prefix, *(part.strip("/") for part in parts)])


def last_part(uri: str) -> str:
    """The name of the file or folder."""
    return uri.partition("?")[0].rstrip("/").rpartition("/")[2]


def exists(uri: str) -> bool:
    """Whether there is something at the URI."""
    path = local_path(uri)
    if path is not None:
        return path.exists()
    system, remote = _remote(uri)
    return bool(system.exists(remote))


def is_below(uri: str, prefix: str) -> bool:
    """Whether a URI is inside a folder."""
    inner, outer = local_path(uri), local_path(prefix)
    if inner is not None and outer is not None:
        return outer.resolve() in inner.resolve().parents
    return uri.startswith(prefix.rstrip("/") + "/")


def names_below(uri: str) -> list[str]:
    """The files of a folder, by their paths in it, sorted."""
    path = local_path(uri)
    if path is not None:
        return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    system, remote = _remote(uri)
    base = remote.rstrip("/")
    return sorted(name[len(base) :].lstrip("/") for name in system.find(base))


def open_uri(uri: str, mode: str, *, compression: str | None = None, **hints: Any) -> IO[Any]:
    """An open file; folders above a new one are made. The hints are for the file system of a remote one.

    Raises:
        MissingDependencyError: fsspec, or its driver for this kind of URI, is not installed.
    """
    writes = mode[:1] in ("w", "a", "x")
    path = local_path(uri)
    if path is not None:
        if writes:
            path.parent.mkdir(parents=True, exist_ok=True)
        if compression is None:
            return path.open(mode, encoding=None if "b" in mode else "utf-8")
    system, remote = _remote(str(path or uri))
    if writes:
        _make_folder(system, remote.rpartition("/")[0])
    opened: IO[Any] = system.open(remote, mode, compression=compression, **({} if path is not None else hints))
    return opened


def read(uri: str) -> bytes:
    """The bytes of a file."""
    with open_uri(uri, "rb") as opened:
        data: bytes = opened.read()
    return data


def write(uri: str, data: bytes) -> None:
    """A new file; a local one appears whole or not at all."""
    path = local_path(uri)
    if path is None:
        with open_uri(uri, "wb") as opened:
            opened.write(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove(uri: str) -> None:
    """Makes sure that there is no file at the URI."""
    path = local_path(uri)
    if path is not None:
        path.unlink(missing_ok=True)
        return
    system, remote = _remote(uri)
    if system.exists(remote):
        system.rm_file(remote)


def fetch(uri: str, target: Path) -> None:
    """Copies a file or a folder to a local path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = local_path(uri)
    if path is not None:
        _copy(path, target)
        return
    system, remote = _remote(uri)
    if system.isdir(remote):
        target.mkdir(exist_ok=True)
        for name in names_below(uri):
            place = (target / name).resolve()
            if target.resolve() not in place.parents:
                raise ConversionError(f"{uri} holds a file named {name!r}, which is outside of the folder")
            place.parent.mkdir(parents=True, exist_ok=True)
            system.get_file(join(remote, name), str(place))
    else:
        system.get_file(remote, str(target))


def store(source: Path, uri: str) -> None:
    """Copies a local file or folder to a URI."""
    path = local_path(uri)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _copy(source, path)
        return
    system, remote = _remote(uri)
    if not source.is_dir():
        _make_folder(system, remote.rpartition("/")[0])
        system.put_file(str(source), remote)
        return
    for file in sorted(source.rglob("*")):
        if file.is_file():
            place = join(remote, file.relative_to(source).as_posix())
            _make_folder(system, place.rpartition("/")[0])
            system.put_file(str(file), place)


def _make_folder(system: Any, remote: str) -> None:
    """Stores of objects have no folders, and making one may mean to make a bucket."""
    kinds = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
    if not remote or kinds & _WITHOUT_FOLDERS:
        return
    for last in (False, False, False, True):
        try:
            system.makedirs(remote, exist_ok=True)
        except Exception:  # each store has its own
            # Somebody else may make the same folder, or one above it, at the same time.
            system.invalidate_cache()
            if last:
                raise
        else:
            return


def _copy(source: Path, target: Path) -> None:
    import shutil

    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.resolve() != target.resolve():
        shutil.copy2(source, target)


def _remote(uri: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError:
        raise MissingDependencyError(
            f"{uri} is not a local path, and fsspec is not installed", hint="pip install 'tasksdk[fsspec]'"
        ) from None
    try:
        system, remote = fsspec.core.url_to_fs(uri)
    except ImportError as error:
        raise MissingDependencyError(
            f"{uri} cannot be reached: {error}",
            hint="install fsspec's driver for it, for s3: pip install 'tasksdk[s3]'",
        ) from None
    # What it was told before may have changed since: tasks write elsewhere.
    system.invalidate_cache()
    return system, remote
