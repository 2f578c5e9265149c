"""`imagebuild warm`."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.locks import with_locks
from imagebuilder.cli.progress import VIEWS, make_view, parts_of
from imagebuilder.cli.specs import Found, find_images, published_at
from imagebuilder.cli.units import short_digest, size
from imagebuilder.config import Config, load
from imagebuilder.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.builders.events import BuildEvent
    from imagebuilder.deploy.deploy_file import Entry
    from imagebuilder.deploy.warm import Target, Warmed

_ABSENT, _UNKNOWN = 1, 3
_COLOURS = {"present": "green", "built": "cyan", "copied": "cyan", "missing": "red", "unknown": "yellow"}


@click.command("warm", short_help="Make several registries hold all of a spec's images.")
@click.argument(
    "files", metavar="SPEC|DEPLOY.TOML...", nargs=-1, required=True, type=click.Path(path_type=Path)
)  # fmt: skip
@options.names
@click.option(
    "--registry", "registries", metavar="HOST[/PATH]", multiple=True,
    help="Make this registry hold the images; repeatable; in place of what a deploy file says.",
)  # fmt: skip
@options.platform
@options.lock
@click.option("--builder", metavar="NAME", help="Build with auto, direct, buildkit, or on this buildx builder.")
@click.option("--on-unknown", type=click.Choice(("fail", "build")), help="What to do when a registry cannot say.")
@click.option("--parallel", metavar="N", type=click.IntRange(min=1), help="Build so many images at a time.")
@click.option(
    "--progress", type=click.Choice(VIEWS), default="auto", help="How to show what is going on, on standard error."
)
@options.as_json
def command(
    *,
    files: tuple[Path, ...],
    names: tuple[str, ...],
    registries: tuple[str, ...],
    platform: tuple[str, ...],
    locked: bool,
    no_lock: bool,
    builder: str | None,
    on_unknown: str | None,
    parallel: int | None,
    progress: str,
    as_json: bool,
) -> int:
    """Make every registry hold every image: build once what none of them has, then copy what each lacks.

    A deploy file lists specs, registries and platforms. Images that a registry has are not moved, blobs that it has
    are mounted. Exits with 0 when every registry holds every image in the end, 1 when some do not, 3 when some
    could not be asked.
    """
    from imagebuilder.deploy.deploy_file import check_place

    config = load(flags={"builder": builder, "on_unknown": on_unknown, "parallel": parallel})
    places = tuple(check_place(registry) for registry in registries)
    found = _found(files, names)
    targets, titled = _targets(config, found, places, platform)
    config = with_locks(config, titled, locked=locked, no_lock=no_lock)
    done = _warm(config, targets, progress)
    if as_json:
        moved = sum(row.bytes_moved for row in done)
        print_document({"images": [asdict(row) for row in done], "bytes_moved": moved})
    else:
        _show(done)
    if any(row.state == "unknown" for row in done):
        return _UNKNOWN
    return _ABSENT if any(row.state == "missing" for row in done) else 0


def _warm(config: Config, targets: Sequence[Target], progress: str) -> list[Warmed]:
    from imagebuilder.api import registry_logins
    from imagebuilder.deploy.warm import warm
    from imagebuilder.engine import Options
    from imagebuilder.vault import Vault, site_is_usable

    images = [(target.title, image) for target in targets for _, image in target.places]
    chosen = Options(
        build_unknown=config.on_unknown == "build",
        parallel=config.parallel,
        cache_from=config.cache_from,
        cache_to=config.cache_to,
    )
    logins = registry_logins(images, Vault(config.environ, config.secrets))
    parts = dict(parts_of(images))
    view = make_view(progress, sys.stderr, parts)

    def show(event: BuildEvent) -> None:
        parts.setdefault(event.image, ())  # a copy is one thing more to be done
        view(event)

    with config.make_client(logins) as client, view:
        engine = config.make_engine(client)
        site_is_usable(engine.site)
        return warm(engine, client, targets, options=chosen, emit=show)


def _targets(
    config: Config, listed: Sequence[tuple[Found, Entry]], places: tuple[str, ...], platform: tuple[str, ...]
) -> tuple[list[Target], list[Found]]:
    """The images of all files, each with the registries and platforms that hold for it: flags go before files."""
    from imagebuilder.deploy.warm import Target

    found = [(item, places or entry.registries, platform or entry.platforms) for item, entry in listed]
    titles = [item.title for item, _, _ in found]
    targets, titled = [], []
    for item, where, platforms in found:
        title = f"{item.file}:{item.title}" if titles.count(item.title) > 1 else item.title
        titled.append(replace(item, title=title))
        own = item.image.registry or config.registry
        if not where and own is None:
            raise SpecError(
                f"{title}: there is no registry to warm", hint="give --registry ghcr.io/team, once for each registry"
            )
        moved = [
            (registry, published_at([titled[-1]], registry, platforms)[0][1]) for registry in where or (own or "",)
        ]
        targets.append(Target(title, tuple(moved)))
    return targets, titled


def _found(files: Sequence[Path], names: Sequence[str]) -> list[tuple[Found, Entry]]:
    """The images of specs, and of the specs that deploy files list, each with what the file says about it."""
    from imagebuilder.deploy.deploy_file import Entry, read_deploy

    specs = [file for file in files if file.suffix != ".toml"]
    found = [(item, Entry(item.file)) for item in find_images(specs, names)] if specs else []
    for file in dict.fromkeys(file for file in files if file.suffix == ".toml"):
        for entry in read_deploy(file):
            found += [(item, entry) for item in find_images([entry.spec], names or entry.names)]
    return found


def _show(rows: Sequence[Warmed]) -> None:
    """A table at a terminal, lines elsewhere; then a sentence, and what to do about what is missing."""
    if _is_terminal():
        _table(rows)
    else:
        for row in rows:
            said = row.reason.partition("\n")[0] if row.reason else f"{row.digest}  {size(row.bytes_moved)}"
            click.echo(f"{row.state:7}  {row.uri}  {said}")
    counts = {state: sum(row.state == state for row in rows) for state in _COLOURS}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    click.echo(f"{told}; {size(sum(row.bytes_moved for row in rows))} moved", err=True)
    for reason in dict.fromkeys(row.reason for row in rows if row.reason and "\n" in row.reason):
        click.echo(f"error: {reason}", err=True)
    for hint in dict.fromkeys(row.hint for row in rows if row.hint):
        click.echo(f"hint: {hint}", err=True)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _table(rows: Sequence[Warmed]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("image", "registry", "state", "digest", box=None, pad_edge=False)
    table.add_column("moved", justify="right")
    for row in rows:
        what = Text(row.reason.partition("\n")[0], style="dim") if row.reason else Text(short_digest(row.digest or ""))
        moved = size(row.bytes_moved) if row.bytes_moved else ""
        table.add_row(Text(row.name), Text(row.registry), Text(row.state, style=_COLOURS[row.state]), what, moved)
    Console(file=sys.stdout).print(table)
