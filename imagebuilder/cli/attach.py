"""`imagebuild attach`."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

import click

from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.config import load
from imagebuilder.spec.reference import Reference

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\Z")


def _media_type(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A type and a subtype (RFC 6838 section 4.2)."""
    if value is not None and not _MEDIA_TYPE.match(value):
        raise click.BadParameter(f"{value!r} is no media type, write application/spdx+json", param=param)
    return value


def _notes(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    notes = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{value!r} is no annotation, write KEY=VALUE", param=param)
        notes[key] = text
    return notes


@click.command("attach", short_help="Attach a file to an image in its registry, such as an SBOM.")
@click.argument("ref")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--artifact-type", metavar="T", required=True, callback=_media_type,
    help="What the file is to those who look for it, such as application/spdx+json.",
)  # fmt: skip
@click.option("--media-type", metavar="T", callback=_media_type, help="The file's own type; by default from its name.")
@click.option("--annotation", "notes", metavar="KEY=VALUE", multiple=True, callback=_notes, help="Repeatable.")
@options.as_json
def command(
    *, ref: str, file: Path, artifact_type: str, media_type: str | None, notes: dict[str, str], as_json: bool
) -> int:
    """Attach FILE to the image REF: an artifact of its own in the same repository, which refers to the image.

    The image and its tag stay as they are. Registries without the referrers API list it under the tag sha256-DIGEST.
    The same file attached again changes nothing.
    """
    reference = Reference.parse(ref)
    kind = media_type or mimetypes.guess_type(file.name)[0] or "application/octet-stream"

    from imagebuilder.registry import FileStore, attach

    store = FileStore()
    described = store.add(file, kind)
    with load().make_client() as client:
        made = attach(client, reference, store, (described,), artifact_type, notes=notes)
    where = reference.with_digest(made.digest)
    if as_json:
        document = {
            "ref": str(reference),
            "subject": made.subject,
            "digest": made.digest,
            "uri": str(where),
            "artifact_type": artifact_type,
            "fallback_tag": made.fallback,
            "bytes_uploaded": made.bytes_uploaded,
        }
        print_document(document)
        return 0
    click.echo(str(where))
    listed = f"tag {made.fallback}" if made.fallback else "referrers API"
    click.echo(f"attached {file.name} to {reference.name}@{made.subject}, listed by the {listed}", err=True)
    return 0
