"""`imagebuild cache`."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from imagebuilder.cache.amounts import parse_age, parse_size
from imagebuilder.cache.contents import look
from imagebuilder.cache.kinds import KINDS, Kind
from imagebuilder.cache.prune import prune
from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.units import age, size
from imagebuilder.config import Config, load
from imagebuilder.errors import WorkError

if TYPE_CHECKING:
    from imagebuilder.cache.contents import Usage
    from imagebuilder.cache.prune import Freed

_NAMES = tuple(kind.name for kind in KINDS)


@click.group(
    "cache", invoke_without_command=True, short_help="Show what is kept on this disk, and remove it."
)  # fmt: skip
@options.as_json
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Show what is kept on this disk between builds: how much there is of each kind, where, and when it was last used.

    Nothing in it is needed: what is removed is fetched, or made, again. It stays below cache_size by itself.
    """
    if ctx.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError(f"write --json behind {ctx.invoked_subcommand}")
        return
    config = load()
    found = look(config.cache_dir)
    if as_json:
        print_document(_document(config, found))
    else:
        _show(config, found)


@command.command("prune", short_help="Remove what was not used for longest.")
@click.argument("kinds", metavar="[KIND]...", nargs=-1, type=click.Choice(_NAMES))
@click.option("--max-size", metavar="SIZE", help="Until so much is left, such as 2GB; else cache_size.")
@click.option("--older-than", metavar="AGE", help="What was not used for so long, such as 30d or 12h.")
@click.option("--all", "everything", is_flag=True, help="All of it.")
@options.as_json
def _prune(
    *, kinds: tuple[str, ...], max_size: str | None, older_than: str | None, everything: bool, as_json: bool
) -> None:
    """Remove what was not used for longest, of these kinds or of all, and what killed processes left unfinished.

    Without options that is what is over cache_size. What a running build uses stays.
    """
    if everything and (max_size or older_than):
        raise click.UsageError("--all excludes --max-size and --older-than")
    config = load()
    limit = parse_size(max_size, "--max-size") if max_size else None
    unused = 0.0 if everything else parse_age(older_than, "--older-than") if older_than else None
    if limit is None and unused is None:
        limit = config.cache_size
    chosen = [kind for kind in KINDS if not kinds or kind.name in kinds]
    try:
        freed = prune(config.cache_dir, limit=limit, older_than=unused, kinds=chosen)
    except OSError as error:
        raise WorkError(
            f"the cache {config.cache_dir} cannot be pruned: {error.strerror or error}", hint="look who owns its files"
        ) from error
    left = sum(usage.bytes for usage in look(config.cache_dir))
    if as_json:
        print_document(_freed(freed, left))
        return
    for kind in _sorted(freed):
        count, files = freed.bytes[kind], freed.files[kind]
        click.echo(f"{kind.name:12}  {files:>6} {'file ' if files == 1 else 'files'}  {size(count):>7}")
    click.echo(f"freed {size(freed.total)}; {size(left)} left")
    if freed.in_use:
        click.echo(f"{size(freed.in_use)} stayed: running builds use the cache", err=True)


@command.command("dir", short_help="Print the folder.")
def _dir() -> None:
    """Print the folder in which all of it lies."""
    click.echo(load().cache_dir)


def _document(config: Config, found: list[Usage]) -> dict[str, object]:
    return {
        "folder": str(config.cache_dir),
        "bytes": sum(usage.bytes for usage in found),
        "max_bytes": config.cache_size,
        "caches": [
            {
                "kind": usage.kind.name,
                "what": usage.kind.what,
                "path": str(usage.path),
                "entries": usage.entries,
                "bytes": usage.bytes,
                "last_used": _iso(usage.last_used),
            }
            for usage in found
        ],
    }


def _freed(freed: Freed, left: int) -> dict[str, object]:
    def row(kind: Kind) -> dict[str, object]:
        return {"kind": kind.name, "files": freed.files[kind], "bytes": freed.bytes[kind]}

    return {
        "freed": [row(kind) for kind in _sorted(freed)],
        "bytes_freed": freed.total,
        "bytes_in_use": freed.in_use,
        "bytes_left": left,
    }


def _show(config: Config, found: list[Usage]) -> None:
    rows = [("kind", "entries", "size", "last used", "path", "")]
    for usage in found:
        used = "never" if usage.last_used is None else age(time.time() - usage.last_used)
        rows.append((usage.kind.name, str(usage.entries), size(usage.bytes), used, usage.path.name, usage.kind.what))
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    click.echo(config.cache_dir)
    for kind, entries, count, used, path, what in rows:
        line = f"  {kind:{widths[0]}}  {entries:>{widths[1]}}  {count:>{widths[2]}}  {used:{widths[3]}}  "
        click.echo(f"{line}{path:{widths[4]}}  {what}".rstrip())
    click.echo(f"{size(sum(usage.bytes for usage in found))} of {size(config.cache_size)}")


def _sorted(freed: Freed) -> list[Kind]:
    return [kind for kind in KINDS if kind in freed.files]


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
