"""`imagebuild check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.locks import warn_of_stale, with_locks
from imagebuilder.cli.specs import find_images, is_spec, published_at
from imagebuilder.config import Config, load
from imagebuilder.registry import Absent, Client, Present, Unknown, Verdict, check_many
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.identity.identified import Identified
    from imagebuilder.spec.image import Image

_ABSENT, _UNKNOWN = 1, 3


class _Row(NamedTuple):
    ref: str
    verdict: Verdict


@click.command("check", short_help="Say whether images are in their registries.")
@click.argument("targets", metavar="SPEC|REF...", nargs=-1, required=True)
@options.names
@options.registry
@options.platform
@options.lock
@click.option("--deep", is_flag=True, help="Ask for every platform's manifest too, not for the index alone.")
@options.as_json
def command(
    *,
    targets: tuple[str, ...],
    names: tuple[str, ...],
    registry: str | None,
    platform: tuple[str, ...],
    locked: bool,
    no_lock: bool,
    deep: bool,
    as_json: bool,
) -> int:
    """Say whether the images of each SPEC, and each image REF, are there for all their platforms.

    Exits with 0 when all are, 1 when some are not, 3 when some could not be asked for.
    """
    found = find_images(specs, names) if (specs := [Path(target) for target in targets if is_spec(target)]) else []
    config = with_locks(load(flags={"registry": registry}), found, locked=locked, no_lock=no_lock)
    images = published_at(found, registry, platform)
    rows = _rows(config, targets, images, platform=platform, deep=deep)
    if as_json:
        print_document([_document(row) for row in rows])
    else:
        _show(rows)
    if any(isinstance(row.verdict, Unknown) for row in rows):
        return _UNKNOWN
    return _ABSENT if any(isinstance(row.verdict, Absent) for row in rows) else 0


def _rows(
    config: Config,
    targets: Sequence[str],
    images: Sequence[tuple[str, Image]],
    *,
    platform: Sequence[str],
    deep: bool,
) -> list[_Row]:
    items = config.make_resolver().identify(images) if images else []
    warn_of_stale(items)
    found = iter(items)
    wanted = tuple(sorted({Platform.parse(part) for text in platform for part in text.split(",")}))
    # In the order in which they were named; the images of all files stand where the first file does.
    asked: list[Identified | Reference] = []
    for target in targets:
        asked += list(found) if is_spec(target) else [Reference.parse(target)]
    remote = [item for item in asked if isinstance(item, Reference) or _is_remote(item)]
    with config.make_client() as client:
        verdicts = iter(_ask(client, remote, wanted, deep))
    return [
        _Row(str(item) if isinstance(item, Reference) else item.uri, next(verdicts))
        if item in remote or isinstance(item, Reference)
        else _Row(item.uri, _in_docker(config, item))
        for item in asked
    ]


def _ask(
    client: Client,
    items: Sequence[Identified | Reference],
    wanted: tuple[Platform, ...],
    deep: bool,
) -> list[Verdict]:
    questions = [
        (item, wanted) if isinstance(item, Reference) else (item.reference, item.image.platforms) for item in items
    ]
    return check_many(client, questions, deep=deep)


def _is_remote(item: Identified) -> bool:
    return item.image.registry is not None or item.is_plain_base


def _in_docker(config: Config, item: Identified) -> Verdict:
    """An image without a registry is where `build` puts it: in Docker."""
    from imagebuilder.outputs.docker import Docker
    from imagebuilder.outputs.output import Load

    docker = Docker(config.environ)
    if docker.answers() is None:
        return Unknown(
            f"{item.uri} has no registry, and no Docker answers", hint="give a registry with --registry ghcr.io/you"
        )
    return Load(docker).check([item])[0]


def _document(row: _Row) -> dict[str, object]:
    verdict = row.verdict
    return {
        "ref": row.ref,
        "verdict": type(verdict).__name__.lower(),
        "reason": None if isinstance(verdict, Present) else verdict.reason,
        "digest": verdict.digest if isinstance(verdict, Present) else None,
        "platforms": list(map(str, verdict.platforms)) if isinstance(verdict, Present) else [],
    }


def _show(rows: Sequence[_Row]) -> None:
    colours = {"present": "green", "absent": "red", "unknown": "yellow"}
    hints: dict[str, None] = {}
    for ref, verdict in rows:
        word = type(verdict).__name__.lower()
        match verdict:
            case Present(digest, platforms):
                words = "  ".join([digest, *([", ".join(map(str, platforms))] if platforms else [])])
            case Absent(reason):
                words = "" if reason == f"{ref} does not exist" else reason
            case Unknown(reason, _, hint):
                words = reason
                if hint:
                    hints[hint] = None
        click.echo(f"{click.style(f'{word:7}', fg=colours[word])}  {ref}{f'  {words}' if words else ''}")
    for hint in hints:
        click.echo(f"hint: {hint}", err=True)
