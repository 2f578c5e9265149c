"""`imagebuild plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagebuilder.cli import options, units
from imagebuilder.cli.document import print_document
from imagebuilder.cli.locks import warn_of_stale, with_locks
from imagebuilder.cli.specs import find_images, image_name, published_at
from imagebuilder.config import load
from imagebuilder.plan.ops import DockerfilePlan
from imagebuilder.plan.segments import segments

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.identity.identified import Identified
    from imagebuilder.plan.ops import Plan

ASSEMBLED = "assembled"
BUILDKIT = "BuildKit"


@click.command("plan", short_help="Say who makes each layer of an image, and why.")
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
    """Say for each layer of SPEC's images whether it is assembled from files or must run, and why.

    Nothing is built, pushed or made; a base's registry is asked only where the base's user must be known.
    """
    found = find_images(specs, names)
    config = with_locks(load(flags={"registry": registry}), found, locked=locked, no_lock=no_lock)
    with config.make_client() as client:
        engine = config.make_engine(client)
        items = engine.resolver.identify(published_at(found, registry, platform))
        warn_of_stale(items)
        documents = [_document(item, engine.plan(item), config.builder) for item in items if not item.is_plain_base]
    if as_json:
        print_document({"images": documents})
        return 0
    for number, document in enumerate(documents):
        if number:
            click.echo()
        _show(document)
    return 0


def _document(item: Identified, plan: Plan | DockerfilePlan, builder: str) -> dict[str, object]:
    materials = (item.materials.base, *item.materials.layers)
    ways = _ways(plan, builder)
    return {
        "name": item.title,
        "image": image_name(item.image),
        "uri": item.uri,
        "identifier": item.identity.identifier,
        "platforms": [str(platform) for platform in item.image.platforms],
        "layers": [
            {"title": title, "by": by, "reason": reason, "bytes": material.total_bytes if material else 0}
            for title, (by, reason), material in zip(plan.titles, ways, materials, strict=True)
        ],
    }


def _ways(plan: Plan | DockerfilePlan, builder: str) -> list[tuple[str, str]]:
    """Who makes the base's own part and each layer, and why where it is not obvious."""
    count = len(plan.titles)
    if builder == "buildkit":
        return [(BUILDKIT, "builder = buildkit")] * count
    found = segments(plan)
    if found is None:
        return [
            (BUILDKIT, "its Dockerfile is run" if isinstance(plan, DockerfilePlan) else "its base must run")
        ] * count
    reasons = dict(found.reasons)
    below = f"it is below layer {found.prefix}, which must run"
    return [
        (BUILDKIT, reasons.get(number, below)) if number <= found.prefix and found.prefix else (ASSEMBLED, "")
        for number in range(count)
    ]


def _show(document: dict[str, object]) -> None:
    click.echo(f"{document['name']}  {document['uri']}")
    layers = document["layers"]
    assert isinstance(layers, list)
    width = max(len(layer["title"]) for layer in layers)
    for number, layer in enumerate(layers):
        size = f", {units.size(layer['bytes'])}" if layer["bytes"] else ""
        why = f": {layer['reason']}" if layer["reason"] else ""
        click.echo(f"  {number or ' ':>2}  {layer['title']:{width}}  {layer['by']}{size}{why}")
