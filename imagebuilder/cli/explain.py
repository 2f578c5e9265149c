"""`imagebuild explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.pushed import read_recorded
from imagebuilder.cli.specs import find_one, is_spec, published_at
from imagebuilder.config import Config, load
from imagebuilder.identity.explain import explain
from imagebuilder.identity.labels import Recorded, record

if TYPE_CHECKING:
    from imagebuilder.spec.image import Image

_DIFFERS = 1


class _Side(NamedTuple):
    """An image; of a pushed one there is what its labels say, and no value."""

    recorded: Recorded
    image: Image | None


@click.command("explain", short_help="Say which layer of two images differs, and why.")
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@options.registry
@options.platform
@options.as_json
def command(old: str, new: str, registry: str | None, platform: tuple[str, ...], as_json: bool) -> int:
    """Say what differs from A to B, each a spec (SPEC, or SPEC:NAME) or the reference of an image that was pushed.

    Exits with 0 when they are the same image, 1 when they differ, 3 when a registry could not be asked.
    """
    config = load(flags={"registry": registry})
    before, after = (_side(config, text, registry, platform) for text in (old, new))
    differences = explain(before.recorded, after.recorded, before.image, after.image)
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


def _side(config: Config, text: str, registry: str | None, platform: tuple[str, ...]) -> _Side:
    file, colon, name = text.rpartition(":")
    if colon and file.endswith(".py"):
        found = find_one(Path(file), name)
    elif is_spec(text):
        found = find_one(Path(text), None)
    else:
        return _Side(read_recorded(config, text), None)
    item = config.make_resolver().identify(published_at([found], registry, platform))[0]
    return _Side(record(item.image, item.identity, item.materials), item.image)
