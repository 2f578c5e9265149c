"""`imagebuild plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagebuilder.cli import options, units
from imagebuilder.cli.document import print_document
from imagebuilder.cli.locks import warn_of_stale, with_locks
from imagebuilder.cli.specs import find_images, image_name, published_at
from imagebuilder.config import load

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.forecast import Amount, ImageForecast, PlatformForecast
    from imagebuilder.sources.material import Material

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
    """Say who makes each layer of SPEC's images, and what would be built, fetched, mounted and uploaded.

    Nothing is built, pushed or made, and no secret is read. Registries and package indexes are asked; the first time,
    a base's layers are read to see what is in them. A size that nobody can tell yet is said to be unknown.
    """
    from imagebuilder.forecast import forecast

    found = find_images(specs, names)
    config = with_locks(load(flags={"registry": registry}), found, locked=locked, no_lock=no_lock)
    with config.make_client() as client:
        engine = config.make_engine(client)
        items = engine.resolver.identify(published_at(found, registry, platform))
        warn_of_stale(items)
        images = forecast(engine, client, items)
    if as_json:
        print_document({"images": [_document(image) for image in images]})
        return 0
    for number, image in enumerate(images):
        if number:
            click.echo()
        _show(image)
    return 0


def _document(image: ImageForecast) -> dict[str, object]:
    from imagebuilder.forecast import verdict_text

    item = image.item
    state, detail = verdict_text(image.verdict)
    materials = (item.materials.base, *item.materials.layers)
    return {
        "name": item.title,
        "image": image_name(item.image),
        "uri": item.uri,
        "identifier": item.identity.identifier,
        "state": state,
        "detail": detail,
        "layers": [
            {
                "title": title,
                "by": BUILDKIT if way.runs else ASSEMBLED,
                "reason": way.reason,
                "bytes": material.total_bytes if material else 0,
            }
            for title, way, material in zip(image.titles, image.ways, materials, strict=True)
        ],
        "below": image.below and {"state": image.below, "layers": image.below_last},
        "platforms": [_platform(one) for one in image.platforms],
    }


def _platform(one: PlatformForecast) -> dict[str, object]:
    return {
        "platform": str(one.platform),
        "wheels": one.wheels,
        "fetch": {"files": one.fetched, "bytes": one.fetch.known, "unknown": one.fetch.unknown},
        "build": [{"package": name, "layer": layer, "reason": reason} for name, layer, reason in one.built],
        "base": {"there": one.base_there, "mounted": one.base_mounted},
        "upload": {"bytes": one.uploaded.known, "unknown": one.uploaded.unknown},
        "unknown": one.unknown,
    }


def _show(image: ImageForecast) -> None:
    from imagebuilder.forecast import verdict_text

    state, detail = verdict_text(image.verdict)
    said = {"exists": f"is there, {units.short_digest(detail)}: nothing to do", "unknown": f"cannot say: {detail}"}
    click.echo(f"{image.item.title}  {image.item.uri}")
    click.echo(f"  {said.get(state, detail)}")
    click.echo()
    width = max(len(title) for title in image.titles)
    sizes = [material.total_bytes if material else 0 for material in _materials(image)]
    for number, (title, way, size) in enumerate(zip(image.titles, image.ways, sizes, strict=True)):
        by = BUILDKIT if way.runs else ASSEMBLED
        line = f"  {number or '':>2}  {title:{width}}  {by:{len(ASSEMBLED)}}  {units.size(size) if size else '':>7}"
        click.echo(f"{line}  {way.reason}".rstrip())
    if image.below is not None or image.platforms:
        click.echo()
    if image.below is not None:
        several = image.below_last > 1
        layers = f"layers 1 to {image.below_last}" if several else "layer 1"
        made = "on this disk" if image.below == "here" else f"at {image.below}"
        _line(
            "run",
            f"{layers}, in BuildKit"
            if image.below == "runs"
            else f"nothing: {layers} {'stand' if several else 'stands'} {made}",
        )
    for one in image.platforms:
        _show_platform(one, named=len(image.platforms) > 1)


def _materials(image: ImageForecast) -> tuple[Material | None, ...]:
    return (image.item.materials.base, *image.item.materials.layers)


def _show_platform(one: PlatformForecast, *, named: bool) -> None:
    if named:
        click.echo(f"  {one.platform}")
    here = one.wheels - len(one.fetched)
    if here:
        _line("here", f"{here} of {one.wheels} wheels")
    if one.fetched:
        _line("fetch", f"{len(one.fetched)} of {one.wheels} wheels, {_amount(one.fetch)}")
    for name, layer, reason in one.built:
        _line("build", f"a wheel of {name} for layer {layer}, in BuildKit: {reason}")
    if one.base_there or one.base_mounted:
        there = f"{units.size(one.base_there)} of what is below are there" if one.base_there else ""
        mounted = f"{units.size(one.base_mounted)} are mounted" if one.base_mounted else ""
        _line("mount", ", ".join(filter(None, (there, mounted))))
    if one.unknown is not None:
        _line("unknown", one.unknown.splitlines()[0])
        _line("upload", "cannot be told")
    elif one.uploaded.known or one.uploaded.unknown:
        _line("upload", f"about {_amount(one.uploaded)}" if one.uploaded.known else _amount(one.uploaded))


def _amount(amount: Amount) -> str:
    if not amount.unknown:
        return units.size(amount.known)
    return f"{units.size(amount.known)}, and {amount.unknown} of unknown size" if amount.known else "of unknown size"


def _line(what: str, text: str) -> None:
    click.echo(f"  {what:8}  {text}")
