"""Small files of the user's that a reader has to understand: each is read once, and what was read is what counts."""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH116

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from imagebuilder.errors import SourceError
from imagebuilder.sources.content import READ_FLAGS, kind, special, unreadable
from imagebuilder.sources.material import Original
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from imagebuilder.sources.sources import Sources

_LIMIT = 64 << 20


def read_text(path: str, hint: str) -> str:
    """Read a regular file of UTF-8 text, links followed; `hint` is what to do if there is none.

    Raises:
        SourceError: it does not exist, cannot be read, is no regular file or no UTF-8.
    """
    try:
        descriptor = os.open(path, READ_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{path} does not exist", hint=hint) from None
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise SourceError(f"{path} is a folder, where a file is needed", hint=hint)
        if not stat.S_ISREG(mode):
            raise special(path, mode)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(_LIMIT + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(descriptor)
    if len(data) > _LIMIT:
        raise SourceError(f"{path} is larger than {_LIMIT >> 20} MiB, too large to be what it is given for")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not UTF-8: byte {error.start} is {data[error.start]:#04x}", hint="save it again as UTF-8"
        ) from None


def read_toml(path: str, hint: str) -> tuple[str, dict[str, Any]]:
    """Read a TOML file: its text, and what it says.

    Raises:
        SourceError: it cannot be read, or is not TOML.
    """
    text = read_text(path, hint)
    return text, load_toml(text, path)


def read_original(sources: Sources, path: str, hint: str, *, mode_counts: bool = False) -> Original:
    """Take a file as it stands; its exec bit only where it means something.

    Raises:
        SourceError: it does not exist, cannot be read or is no regular file.
    """
    require_file(path, hint)
    file = sources.file(path)
    return Original(file if mode_counts else file._replace(executable=False), path)


def require_file(path: str, hint: str) -> None:
    """Refuse what is missing or a folder."""
    mode = _mode(path, hint)
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path} is a folder, where a file is needed", hint=hint)


def require_folder(path: str, hint: str) -> None:
    """Refuse what is missing or not a folder."""
    mode = _mode(path, hint)
    if not stat.S_ISDIR(mode):
        raise SourceError(f"{path} is {kind(mode)}, where a folder is needed", hint=hint)


def _mode(path: str, hint: str) -> int:
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"{path} does not exist", hint=hint) from None
    except OSError as error:
        raise unreadable(path, error) from None
