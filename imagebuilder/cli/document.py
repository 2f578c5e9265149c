"""The JSON documents of `--json`, on standard output or in a file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import click

from imagebuilder.errors import ConfigError


def print_document(value: object) -> None:
    """Print one document."""
    click.echo(to_text(value))


def to_text(value: object) -> str:
    """A document as people can read it too."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def require_writable(path: Path, example: str = "out.json") -> None:
    """Refuse a file that could not be written, before anything is done; folders above it are made when it is.

    Raises:
        ConfigError: it is a folder, or what is above it is none or closed to us.
    """
    if path.is_dir():
        raise ConfigError(f"{path} cannot be written: it is a folder", hint=f"name a file: {path / example}")
    _require_folder(path, path.parent)


def require_folder(path: Path) -> None:
    """Refuse a folder that could not be made or written to, before anything is done.

    Raises:
        ConfigError: it, or what is above it, is a file or closed to us.
    """
    _require_folder(path, path)


def _require_folder(path: Path, folder: Path) -> None:
    there = next(above for above in (folder, *folder.parents) if os.path.lexists(above))
    if not there.is_dir():
        which = "it" if there == path else there
        raise ConfigError(f"{path} cannot be written: {which} is not a folder", hint="name a folder, or a new one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{path} cannot be written: permission denied in {there}", hint="name a place that you may write to"
        )


def write_document(path: Path, value: object) -> None:
    """Write one document; a half-written one never has the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8"
    ) as part:
        try:
            part.write(to_text(value) + "\n")
            part.close()
            Path(part.name).chmod(0o644)
            Path(part.name).replace(path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise
