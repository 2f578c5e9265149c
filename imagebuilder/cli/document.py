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


def require_writable(path: Path) -> None:
    """Refuse a file that could not be written, before anything is done.

    Raises:
        ConfigError: its folder is missing or closed to us, or it is a folder itself.
    """
    folder = path.parent
    if not folder.is_dir():
        raise ConfigError(f"{path} cannot be written: {folder} is not a folder", hint=f"mkdir -p {folder}")
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{path} cannot be written: {'it is a folder' if path.is_dir() else 'permission denied'}")


def write_document(path: Path, value: object) -> None:
    """Write one document; a half-written one never has the name."""
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
