"""`imagebuild lock`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import click

from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.specs import Found, find_images, published_at
from imagebuilder.config import Config, load
from imagebuilder.identity.inputs import can_be_locked
from imagebuilder.lock.changes import changes
from imagebuilder.lock.lock_file import NAME, LockFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from imagebuilder.builders.events import BuildEvent
    from imagebuilder.identity.identified import Identified
    from imagebuilder.lock.pins import ImageLock
    from imagebuilder.locking import Upgrade

_STALE = 1
_COLOURS = {"locked": "cyan", "fresh": "green", "stale": "red", "skipped": "yellow"}


class _Row(NamedTuple):
    """What became of one image: its state, its new entry, and what changed or moved."""

    title: str
    state: str
    path: Path
    entry: ImageLock | None
    lines: list[str]


@click.command("lock", short_help="Pin the bases and packages of a spec's images beside it.")
@options.specs()
@options.names
@options.platform
@click.option("--upgrade", is_flag=True, help="Take the newest base and packages that the spec allows.")
@click.option("--upgrade-base", is_flag=True, help="Take what the base's tag names now; packages stay where they can.")
@click.option(
    "--upgrade-package", "packages", metavar="NAME", multiple=True,
    help="Take the newest version of this package that the spec allows; repeatable.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 and say what moved where a lock is stale.")
@options.secrets
@options.as_json
def command(
    *,
    specs: tuple[Path, ...],
    names: tuple[str, ...],
    platform: tuple[str, ...],
    upgrade: bool,
    upgrade_base: bool,
    packages: tuple[str, ...],
    check: bool,
    secrets: dict[str, str],
    as_json: bool,
) -> int:
    """Write imagebuilder.lock beside each SPEC: base digests, and the files of all packages with their hashes.

    What is fresh stays as it is; what moved is resolved anew, close to what was locked. Builds use the lock from then
    on. No credential is ever in it.
    """
    from imagebuilder.locking import Upgrade

    chosen = Upgrade(upgrade, upgrade_base, frozenset(re.sub(r"[-_.]+", "-", name).lower() for name in packages))
    if check and not chosen.nothing:
        raise click.UsageError("--check writes nothing, so there is nothing to upgrade")
    config = load(flags={"secrets": secrets})
    found = find_images(specs, names)
    rows = _rows(config, found, platform, chosen, check=check, whole=not names)
    if as_json:
        print_document({"images": [_document(row) for row in rows]})
    else:
        _show(rows)
    return _STALE if any(row.state == "stale" for row in rows) else 0


def _rows(
    config: Config, found: Sequence[Found], platform: Sequence[str], upgrade: Upgrade, *, check: bool, whole: bool
) -> list[_Row]:
    from imagebuilder.locking import Wanted, lock

    files = {path: LockFile.read(path) for path in dict.fromkeys(item.file.parent / NAME for item in found)}
    with config.make_client() as client:
        engine = config.make_engine(client)
        items = engine.resolver.identify(published_at(found, platform=platform))
        wanted = [
            Wanted(item, one.file.name, one.variables[0], _file_of(files, one).find(one.file.name, one.variables[0]))
            for item, one in zip(items, found, strict=True)
        ]
        lockable = [number for number, one in enumerate(wanted) if can_be_locked(one.item.image)]
        if check:
            made = {number: (wanted[number].entry, wanted[number].moved(engine)) for number in lockable}
        else:
            pinner = config.make_pinner(client)
            entries = lock(engine, pinner, [wanted[number] for number in lockable], upgrade, _warn)
            made = {
                number: (entry, changes(wanted[number].entry, entry))
                for number, entry in zip(lockable, entries, strict=True)
            }
    rows = [
        _row(one, item, files, made.get(number), wanted[number].entry, check=check)
        for number, (one, item) in enumerate(zip(found, items, strict=True))
    ]
    if not check:
        for path, file in files.items():
            _write(path, file, found, rows, whole=whole)
    return rows


def _file_of(files: dict[Path, LockFile], found: Found) -> LockFile:
    return files[found.file.parent / NAME]


def _row(
    found: Found,
    item: Identified,
    files: dict[Path, LockFile],
    made: tuple[ImageLock | None, list[str]] | None,
    before: ImageLock | None,
    *,
    check: bool,
) -> _Row:
    path = _file_of(files, found).path
    if made is None:
        why = "it adds nothing to its base" if item.is_plain_base else "its Dockerfile names its bases itself"
        return _Row(item.title, "skipped", path, None, [f"there is nothing to lock: {why}"])
    entry, lines = made
    if check:
        return _Row(item.title, "stale" if lines else "fresh", path, entry, lines)
    return _Row(item.title, "fresh" if entry == before else "locked", path, entry, lines)


def _write(path: Path, file: LockFile, found: Sequence[Found], rows: Sequence[_Row], *, whole: bool) -> None:
    """Write one lock, where it changes; images that a spec has no more are left out where all of it was locked."""
    here = [(one, row) for one, row in zip(found, rows, strict=True) if row.path == path]
    locked = {(one.file.name, one.variables[0]): row.entry for one, row in here if row.entry is not None}
    specs = {one.file.name for one, _ in here} if whole else set()
    kept = tuple(one for one in file.images if one.spec not in specs or (one.spec, one.name) in locked)
    written = LockFile(path, kept).with_images(locked.values())
    if written.images != file.images:
        written.write()


def _warn(event: BuildEvent) -> None:
    if isinstance(event, BuildWarning):
        click.echo(f"warning: {event.image}: {event.message}", err=True)


def _document(row: _Row) -> dict[str, object]:
    entry = row.entry
    return {
        "name": row.title,
        "state": row.state,
        "lock": str(row.path),
        "base": entry and f"{entry.base}@{entry.digest}",
        "platforms": {
            one.platform: {"base": one.base, "packages": one.versions, "unpinned": one.unpinned or None}
            for one in entry.platforms
        }
        if entry
        else {},
        "changes": row.lines,
    }


def _show(rows: Sequence[_Row]) -> None:
    for row in rows:
        said = ""
        if row.entry is not None and row.state != "stale":
            counts = ", ".join(f"{_count(len(one.packages))} for {one.platform}" for one in row.entry.platforms)
            said = f"  {row.entry.base}, {counts}"
        click.echo(f"{click.style(f'{row.state:7}', fg=_COLOURS[row.state])}  {row.title}{said}")
        for line in row.lines:
            click.echo(f"         {line}")
    if any(row.state == "stale" for row in rows):
        click.echo("hint: write the lock anew with imagebuild lock", err=True)


def _count(packages: int) -> str:
    return f"{packages} package{'' if packages == 1 else 's'}"
