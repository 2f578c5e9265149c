"""`imagebuild identify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.locks import warn_of_stale, with_locks
from imagebuilder.cli.specs import find_images, image_name, published_at
from imagebuilder.config import load
from imagebuilder.identity.labels import record
from imagebuilder.spec.titles import base_title, layer_title

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.identity.identified import Identified


@click.command("identify", short_help="Print the identifiers of a spec's images.")
@options.specs()
@options.names
@options.registry
@options.platform
@options.lock
@options.as_json
def command(
    *,
    specs: tuple[Path, ...],
    names: tuple[str, ...],
    registry: str | None,
    platform: tuple[str, ...],
    locked: bool,
    no_lock: bool,
    as_json: bool,
) -> int:
    """Print the identifier and the uri of each image in SPEC; no registry is asked."""
    config = load(flags={"registry": registry})
    found = find_images(specs, names)
    config = with_locks(config, found, locked=locked, no_lock=no_lock)
    items = config.make_resolver().identify(published_at(found, registry, platform))
    warn_of_stale(items)
    if as_json:
        print_document({"images": [_document(item) for item in items]})
        return 0
    width = max(len(item.title) for item in items)
    for item in items:
        title = f"{item.title:{width}}  " if len(items) > 1 else ""
        click.echo(f"{title}{item.identity.identifier}  {item.uri}")
    return 0


def _document(item: Identified) -> dict[str, object]:
    titles = (base_title(item.image.base), *map(layer_title, item.image.layers))
    parts = record(item.image, item.identity, item.materials).parts
    return {
        "name": item.title,
        "image": image_name(item.image),
        "identifier": item.identity.identifier,
        "uri": item.uri,
        "epoch": item.identity.epoch,
        "lock": item.identity.lock,
        "platforms": [str(platform) for platform in item.image.platforms],
        "layers": [
            {"title": title, "kind": kind, "digest": digest}
            for title, (kind, digest) in zip(titles, parts, strict=True)
        ],
    }
