"""The locks beside the specs of a command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from imagebuilder.lock.lock_file import NAME, LockFile
from imagebuilder.lock.locks import Held, Locks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from imagebuilder.cli.specs import Found
    from imagebuilder.config import Config
    from imagebuilder.identity.identified import Identified


def with_locks(config: Config, found: Sequence[Found], *, locked: bool, no_lock: bool) -> Config:
    """The configuration with the locks of images; those of another folder are beside their own spec.

    Raises:
        SourceError: a lock cannot be read.
    """
    if locked and no_lock:
        raise click.UsageError("--locked and --no-lock exclude each other")
    if no_lock:
        return config
    files: dict[Path, LockFile] = {}
    held = {}
    for item in found:
        path = item.file.parent / NAME
        file = files[path] = files.get(path) or LockFile.read(path)
        entry = file.find(item.file.name, item.variables[0])
        held[item.title] = Held(path, (entry,) if entry else (), file.exists)
    return replace(config, locks=Locks(held, required=locked or config.locked))


def warn_of_stale(items: Sequence[Identified]) -> None:
    """Say on standard error which locks were not used, and why."""
    for item in items:
        if item.stale:
            click.echo(f"warning: {item.title}: its lock is stale and is not used: {'; '.join(item.stale)}", err=True)
