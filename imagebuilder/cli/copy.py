"""`imagebuild copy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.units import size
from imagebuilder.config import load
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.registry import Copied


@click.command("copy", short_help="Copy images from one registry to another, byte for byte.")
@click.argument("references", metavar="SRC... DST", nargs=-1, required=True)
@click.option(
    "--platform", metavar="OS/ARCH", multiple=True,
    help="The image of this platform alone; with --sparse several, in an index that lacks the others.",
)  # fmt: skip
@click.option("--sparse", is_flag=True, help="Copy an index of which the source, or --platform, lacks a part.")
@click.option("--parallel", metavar="N", type=click.IntRange(min=1), help="Do so many things at a time.")
@options.as_json
def command(
    *, references: tuple[str, ...], platform: tuple[str, ...], sparse: bool, parallel: int | None, as_json: bool
) -> int:
    """Copy the image SRC to DST: bytes, media types and digests stay, attestations go with it, the tag comes last.

    A DST without a tag takes that of SRC. For several SRC, DST ends with a slash: each goes there under its own name.
    What DST has is not moved again.
    """
    pairs = _pairs(references)
    wanted = tuple(sorted({Platform.parse(part) for text in platform for part in text.split(",")}))

    from imagebuilder.registry.copier import PARALLEL, Copier

    with load().make_client() as client, Copier(client, parallel=parallel or PARALLEL) as copier:
        started = [copier.start(src, dst, platforms=wanted, sparse=sparse) for src, dst in pairs]
        failures = [error for future in started if (error := future.exception()) is not None]
        if failures:
            for (src, dst), future in zip(pairs, started, strict=True):
                if len(pairs) > 1 and future.exception() is None:
                    click.echo(_line(src, dst, future.result()), err=True)
            raise failures[0]
        copied = [(src, dst, future.result()) for (src, dst), future in zip(pairs, started, strict=True)]
    if as_json:
        documents = [_document(src, dst, done) for src, dst, done in copied]
        print_document(documents if len(references) > 2 else documents[0])
        return 0
    for src, dst, done in copied:
        click.echo(f"{dst if dst.digest else f'{dst}@{done.digest}'}")
        click.echo(_line(src, dst, done), err=True)
    return 0


def _pairs(references: Sequence[str]) -> list[tuple[Reference, Reference]]:
    if len(references) < 2:
        raise click.UsageError("name what to copy, and where to: imagebuild copy SRC DST")
    from imagebuilder.registry.copier import destination

    *sources, target = references
    if len(sources) > 1 and not target.endswith("/"):
        raise click.UsageError(f"several images go to a place that ends with a slash: {target}/")
    pairs: dict[Reference, Reference] = {}
    for text in sources:
        src = Reference.parse(text)
        given = f"{target}{src.repository.rpartition('/')[2]}" if target.endswith("/") else target
        dst = destination(src, Reference.parse(given))
        if pairs.setdefault(dst, src) != src:
            raise click.UsageError(f"{pairs[dst]} and {src} would both become {dst}")
    return [(src, dst) for dst, src in pairs.items()]


def _document(src: Reference, dst: Reference, copied: Copied) -> dict[str, object]:
    return {
        "src": str(src),
        "dst": str(dst),
        "digest": copied.digest,
        "bytes_moved": copied.bytes_moved,
        "mounted": len(copied.mounted),
    }


def _line(src: Reference, dst: Reference, copied: Copied) -> str:
    if not copied.bytes_moved:
        return f"{dst} was there"
    mounted = f", {len(copied.mounted)} blobs mounted" if copied.mounted else ""
    there = f", {len(copied.skipped)} were there" if copied.skipped else ""
    return f"copied {src}: {size(copied.bytes_moved)} moved{mounted}{there}"
