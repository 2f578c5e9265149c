"""`imagebuild rebase`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.units import size

if TYPE_CHECKING:
    from imagebuilder.deploy.rebase import Moved, Rebased


@click.command("rebase", short_help="Put an assembled image on a newer base, without building it.")
@click.argument("image", metavar="IMAGE")
@click.option("--base", metavar="REF", required=True, help="The base to stand on: a tag that moved, or another image.")
@click.option("--to", metavar="REF", help="Where the result goes; by default the tag that a build would give it.")
@click.option("--dry-run", is_flag=True, help="Say what would be; push nothing.")
@options.as_json
def command(*, image: str, base: str, to: str | None, dry_run: bool, as_json: bool) -> int:
    """Put IMAGE, which was assembled directly, on another base of the same kind.

    Its layers stay where they are; the virtual environment's few files and accounts are made again, and the settings
    are merged with the new base's. The result is what a build on the new base makes of the same packages and files.
    """
    from imagebuilder.api import rebase

    done = rebase(image, base, to=to, dry_run=dry_run)
    if as_json:
        print_document({**asdict(done), "changed": done.changed})
        return 0
    click.echo(f"{done.uri}@{done.digest}")
    for moved in done.platforms:
        click.echo(_line(moved), err=True)
    click.echo(_summary(done, dry_run=dry_run), err=True)
    return 0


def _line(moved: Moved) -> str:
    if moved.old_base == moved.new_base:
        return f"{moved.platform}  stands on {_short(moved.new_base)} already"
    made = f", {moved.remade} made again" if moved.remade else ""
    stay = "1 layer stays" if moved.kept == 1 else f"{moved.kept} layers stay"
    bases = f"base {_short(moved.old_base)} becomes {_short(moved.new_base)}"
    return f"{moved.platform}  {bases}, {stay}{made}"


def _summary(done: Rebased, *, dry_run: bool) -> str:
    if dry_run:
        return "nothing was pushed"
    if not done.pushed:
        return f"{done.uri} was there"
    mounted = f", {done.mounted} blobs mounted" if done.mounted else ""
    return f"pushed {size(done.bytes_uploaded)}{mounted}"


def _short(digest: str) -> str:
    return digest[: len("sha256:") + 12]
