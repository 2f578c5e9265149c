"""`imagebuild build`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagebuilder.builders.events import Finished
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.cli import options
from imagebuilder.cli.document import print_document, require_folder, require_writable, write_document
from imagebuilder.cli.locks import with_locks
from imagebuilder.cli.progress import VIEWS, View, make_view, parts_of
from imagebuilder.cli.specs import Found, find_images, image_name, is_plain, published_at
from imagebuilder.config import Config, load
from imagebuilder.errors import SpecError
from imagebuilder.spec.publication import DEFAULT_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imagebuilder.builders.events import BuildEvent
    from imagebuilder.engine import Result
    from imagebuilder.outputs.output import Output
    from imagebuilder.spec.image import Image


def _place(_ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, Path] | None:
    """oci:DIR or docker-archive:FILE."""
    if value is None:
        return None
    kind, _, path = value.partition(":")
    if kind not in ("oci", "docker-archive") or not path:
        raise click.BadParameter(f"{value!r} is neither oci:DIR nor docker-archive:FILE", param=param)
    return kind, Path(path)


@click.command("build", short_help="Build what is missing of a spec's images, and publish it.")
@options.specs()
@options.names
@options.registry
@options.platform
@options.lock
@click.option("--push/--no-push", default=None, help="Push (the default for images with a registry), or do not.")
@click.option("--load", "into_docker", is_flag=True, help="Load into the local Docker instead of pushing.")
@click.option(
    "--output",
    metavar="oci:DIR|docker-archive:FILE",
    callback=_place,
    help="Write a folder or a file instead of pushing.",
)
@click.option("--builder", metavar="NAME", help="Build with auto, direct, buildkit, or on this buildx builder.")
@click.option("--force", is_flag=True, help="Build images that exist too.")
@click.option("--no-cache", is_flag=True, help="Run every step, whatever the builder remembers.")
@click.option("--dry-run", is_flag=True, help="Say what would be built; registries may be asked, nothing is run.")
@options.secrets
@click.option("--on-unknown", type=click.Choice(("fail", "build")), help="What to do when a registry cannot say.")
@click.option(
    "--cache-from", metavar="CACHE", multiple=True, help="A build cache to read, as buildx takes it; repeatable."
)
@click.option(
    "--cache-to", metavar="CACHE", multiple=True, help="A build cache to write, as buildx takes it; repeatable."
)
@click.option("--cache-write", is_flag=True, default=None, help="Fill the shared cache that `cache` names.")
@click.option("--parallel", metavar="N", type=click.IntRange(min=1), help="Build so many images at a time.")
@click.option(
    "--progress", type=click.Choice(VIEWS), default="auto", help="How to show what is going on, on standard error."
)
@options.as_json
@click.option(
    "--metadata-file", metavar="FILE", type=click.Path(path_type=Path), help="Write the JSON document there too."
)
def command(
    *,
    specs: tuple[Path, ...],
    names: tuple[str, ...],
    registry: str | None,
    platform: tuple[str, ...],
    locked: bool,
    no_lock: bool,
    push: bool | None,
    into_docker: bool,
    output: tuple[str, Path] | None,
    builder: str | None,
    force: bool,
    no_cache: bool,
    dry_run: bool,
    secrets: dict[str, str],
    on_unknown: str | None,
    cache_from: tuple[str, ...],
    cache_to: tuple[str, ...],
    cache_write: bool | None,
    parallel: int | None,
    progress: str,
    as_json: bool,
    metadata_file: Path | None,
) -> int:
    """Build what is missing of the images in SPEC, and publish it.

    Images with a registry are pushed; the others are loaded into Docker where it answers, else written to ./images.
    The uri and digest of each image go to standard output.
    """
    if sum((bool(push), into_docker, output is not None)) > 1:
        raise click.UsageError("--push, --load and --output exclude each other")
    _require_places(output, metadata_file)
    flags = {
        "registry": registry, "builder": builder, "secrets": secrets, "on_unknown": on_unknown,
        "cache_from": cache_from, "cache_to": cache_to, "cache_write": cache_write, "parallel": parallel,
    }  # fmt: skip
    config = load(flags=flags)
    found = find_images(specs, names)
    config = with_locks(config, found, locked=locked, no_lock=no_lock)
    images = published_at(found, registry, platform)

    from imagebuilder.api import local_output, run_build
    from imagebuilder.engine import Options

    chosen = Options(
        force=force,
        no_cache=no_cache,
        dry_run=dry_run,
        build_unknown=config.on_unknown == "build",
        parallel=config.parallel,
        cache_from=config.cache_from,
        cache_to=config.cache_to,
    )
    target = _target(config, into_docker, output, len(images))
    view = make_view(progress, sys.stderr, parts_of(images))
    with view:
        for warning in [] if names else _nameless(found):
            view(warning)
        # What is there already is what a dry run prints; machines that read events get them all.
        shown = _without_finished(view) if dry_run and progress != "json" else view
        results = run_build(config, images, chosen, push=push, output=target, on_event=shown)
    document = {
        "images": [
            _document(result, image_name(image), dry_run) for (_, image), result in zip(images, results, strict=True)
        ]
    }
    if metadata_file is not None:
        write_document(metadata_file, document)
    if as_json:
        print_document(document)
        return 0
    for result in results:
        click.echo(_line(result, dry_run))
    if progress not in ("quiet", "json") and not dry_run:
        here = _here(images, results) if target is None and push is not False else [title for title, _ in images]
        if here:
            place = _where(target or local_output(config), specs, push, chosen=target is not None)
            click.echo(place if len(here) == len(images) else f"{', '.join(here)}: {place}", err=True)
    return 0


def _without_finished(view: View) -> Callable[[BuildEvent], None]:
    return lambda event: None if isinstance(event, Finished) else view(event)


def _require_places(output: tuple[str, Path] | None, metadata_file: Path | None) -> None:
    """Refuse what could not be written in the end, before anything is built."""
    if metadata_file is not None:
        require_writable(metadata_file)
    match output:
        case ("oci", path):
            require_folder(path)
        case (_, path):
            require_writable(path, "image.tar")
        case None:
            pass


def _nameless(found: Sequence[Found]) -> list[BuildWarning]:
    """A warning for each image without a name beside images with names: mostly a part that others are made from."""
    if not any(item.image.name for item in found):
        return []
    return [
        BuildWarning(
            item.title,
            f"it has no name and becomes {DEFAULT_NAME}:IDENTIFIER; give it one with name=..., or, where it is only "
            f"a part of others, call the variable _{item.variables[0]}",
        )
        for item in found
        if not item.image.name and not is_plain(item.image)
    ]


def _target(config: Config, into_docker: bool, output: tuple[str, Path] | None, count: int) -> Output | None:
    from imagebuilder.outputs.docker import Docker
    from imagebuilder.outputs.output import Archive, Layout, Load

    if into_docker:
        return Load(Docker(config.environ))
    if output is None:
        return None
    kind, path = output
    if kind == "oci":
        return Layout(path)
    if count > 1:
        raise SpecError(
            f"an archive holds one image, and there are {count}",
            hint="choose one with --name, or write them all to a folder with --output oci:DIR",
        )
    return Archive(path)


def _document(result: Result, name: str | None, dry_run: bool) -> dict[str, object]:
    document = {"name": result.name, "image": name, **asdict(result)}
    document["seconds"] = round(result.seconds, 3)
    if not dry_run:
        del document["would_build"]
    return document


def _line(result: Result, dry_run: bool) -> str:
    uri = result.uri if result.digest is None or "@" in result.uri else f"{result.uri}@{result.digest}"
    return f"{'would build' if result.would_build else 'exists':11}  {uri}" if dry_run else uri


def _here(images: Sequence[tuple[str, Image]], results: Sequence[Result]) -> list[str]:
    """The images whose uris name no registry: neither the spec, a flag nor the configuration gives one."""
    return [
        title
        for (title, image), result in zip(images, results, strict=True)
        if image.replace(registry=None).reference_for(result.identifier) == result.uri
    ]


def _where(here: Output, specs: Sequence[Path], push: bool | None, *, chosen: bool) -> str:
    """For images that are in no registry, whatever their uris look like."""
    from imagebuilder.outputs.output import Archive, Layout

    match here:
        case Layout():
            place = f"written to {_shown(here.folder)}"
        case Archive():
            place = f"written to {_shown(here.path)}"
        case _:
            place = "loaded into Docker"
    if chosen:
        return place
    if push is False:
        return f"{place}, not pushed"
    return f"{place}; to push: imagebuild build {' '.join(map(str, specs))} --registry ghcr.io/you"


def _shown(path: Path) -> str:
    return str(path) if path.is_absolute() else f"./{path}"
