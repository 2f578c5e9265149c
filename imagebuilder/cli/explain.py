"""`imagebuild explain`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.pushed import read_recorded
from imagebuilder.cli.specs import find_one, is_spec
from imagebuilder.config import Config, load
from imagebuilder.identity.explain import explain
from imagebuilder.identity.labels import Recorded, record
from imagebuilder.spec.titles import base_title, layer_title

_DIFFERS = 1


class _Side(NamedTuple):
    """An image; a pushed one has no titles but its kinds, which `explain` knows."""

    recorded: Recorded
    titles: tuple[str, ...] | None


@click.command("explain", short_help="Say which layer of two images differs, and why.")
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@options.as_json
def command(old: str, new: str, as_json: bool) -> int:
    """Say what differs from A to B, each a spec (SPEC, or SPEC:NAME) or the reference of an image that was pushed.

    Exits with 0 when they are the same image, 1 when they differ, 3 when a registry could not be asked.
    """
    config = load()
    before, after = _side(config, old), _side(config, new)
    differences = explain(before.recorded, after.recorded, before.titles, after.titles)
    if as_json:
        print_document(
            {
                "same": not differences,
                "old": {"what": old, "identifier": before.recorded.identifier},
                "new": {"what": new, "identifier": after.recorded.identifier},
                "differences": differences,
            }
        )
    else:
        for line in differences or ["the same image"]:
            click.echo(line)
    return _DIFFERS if differences else 0


def _side(config: Config, text: str) -> _Side:
    file, colon, name = text.rpartition(":")
    if colon and file.endswith(".py") and Path(file).exists():
        return _spec_side(config, Path(file), name)
    if is_spec(text):
        return _spec_side(config, Path(text), None)
    recorded = read_recorded(config, text)
    return _Side(recorded, None)


def _spec_side(config: Config, file: Path, name: str | None) -> _Side:
    found = find_one(file, name)
    item = config.make_resolver().identify([(found.title, found.image)])[0]
    titles = (base_title(item.image.base), *map(layer_title, item.image.layers))
    return _Side(record(item.image, item.identity, item.materials), titles)
