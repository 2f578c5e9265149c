"""`imagebuild verify`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagebuilder.builders.events import Finished
from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.locks import with_locks
from imagebuilder.cli.progress import VIEWS, make_view, parts_of
from imagebuilder.cli.pushed import read_recorded
from imagebuilder.cli.specs import Found, find_images, published_at
from imagebuilder.config import Config, load
from imagebuilder.errors import UnknownError
from imagebuilder.identity.explain import explain
from imagebuilder.identity.labels import record
from imagebuilder.lock.lock_file import NAME, LockFile
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imagebuilder.builders.events import BuildEvent
    from imagebuilder.identity.identified import Identified
    from imagebuilder.identity.labels import Recorded
    from imagebuilder.verify.derive import Derived

_DIFFERS = 1
_USUAL = "spec.py"


@dataclass(frozen=True)
class _Candidate:
    """An image of a spec, identified with its lock or without, under the configuration that does so."""

    found: Found
    item: Identified
    config: Config

    @property
    def said(self) -> str:
        return f"{self.found.file}:{self.found.variables[0]}{', locked' if self.item.pins else ''}"


@click.command("verify", short_help="Derive a pushed image anew, and say whether it is the same to the byte.")
@click.argument("image", metavar="IMAGE")
@click.argument("spec", metavar="[SPEC]", required=False)
@click.option("--builder", metavar="NAME", help="Build with auto, direct, buildkit, or on this buildx builder.")
@options.secrets
@click.option(
    "--progress", type=click.Choice(VIEWS), default="auto", help="How to show what is going on, on standard error."
)
@options.as_json
def command(
    *, image: str, spec: str | None, builder: str | None, secrets: dict[str, str], progress: str, as_json: bool
) -> int:
    """Build IMAGE anew from SPEC (or SPEC:NAME) and its lock, push nothing, and compare the digests.

    Without SPEC it is looked for in imagebuilder.lock and spec.py of the current folder, by the identifier that the
    image carries. Exits with 0 when they are the same, 1 when they differ, with what differs and why, 3 when that
    could not be found out.
    """
    config = load(flags={"builder": builder, "secrets": secrets})
    reference = Reference.parse(image)
    recorded = read_recorded(config, image, local=False)
    candidates = list(_candidates(config, _specs(spec), recorded))
    chosen = next((one for one in candidates if one.item.identity.identifier == recorded.identifier), None)
    if chosen is None:
        return _other(reference, recorded, candidates, spec, as_json=as_json)
    derived = _derive(chosen, reference, progress)
    if as_json:
        print_document(_document(reference, recorded, chosen, derived))
        return 0 if derived.same else _DIFFERS
    word = click.style("same   ", fg="green") if derived.same else click.style("differs", fg="red")
    click.echo(f"{word}  {reference.name}@{derived.digest}  {chosen.said}")
    for line in derived.differences:
        click.echo(f"         {line}")
    return 0 if derived.same else _DIFFERS


def _specs(spec: str | None) -> list[tuple[Path, str | None]]:
    """The files to look into, each with the one image that was named."""
    if spec is not None:
        file, colon, name = spec.rpartition(":")
        return [(Path(file), name)] if colon and file.endswith(".py") else [(Path(spec), None)]
    locked = dict.fromkeys(entry.spec for entry in LockFile.read(Path(NAME)).images)
    return [(Path(name), None) for name in dict.fromkeys((*locked, _USUAL)) if Path(name).is_file()]


def _candidates(config: Config, specs: Sequence[tuple[Path, str | None]], recorded: Recorded) -> Iterator[_Candidate]:
    """The images of specs for the platforms that were pushed: with their locks, then without."""
    for no_lock in (False, True):
        for file, name in specs:
            found = find_images([file], [name] if name else [])
            own = with_locks(replace(config, locked=False), found, locked=False, no_lock=no_lock)
            items = own.make_resolver().identify(published_at(found, platform=recorded.platforms))
            yield from (_Candidate(one, item, own) for one, item in zip(found, items, strict=True))


def _derive(chosen: _Candidate, reference: Reference, progress: str) -> Derived:
    from imagebuilder.api import registry_logins
    from imagebuilder.builders.workspace import workspace
    from imagebuilder.cache.kinds import TOOLS, WHEELS
    from imagebuilder.vault import Vault, site_is_usable
    from imagebuilder.verify.derive import derive

    config, item = chosen.config, chosen.item
    # Where it was pushed to, whatever the spec says: parts that must run are kept beside it.
    image = item.image.clone(name=reference.repository, registry=reference.registry)
    named = [(item.title, image)]
    logins = registry_logins([(item.title, item.image)], Vault(config.environ, config.secrets))
    with workspace(config.cache_dir / "work") as folder, config.make_client(logins) as client:
        # Nothing that was made before counts; wheels are verified whenever they are taken out.
        for kind in (WHEELS, TOOLS):
            kind.at(config.cache_dir).mkdir(parents=True, exist_ok=True)
            kind.at(folder).symlink_to(kind.at(config.cache_dir))
        engine = replace(config, cache_dir=folder).make_engine(client)
        site_is_usable(engine.site)
        view = make_view(progress, sys.stderr, parts_of(named))

        def show(event: BuildEvent) -> None:
            if not isinstance(event, Finished):  # nothing is published
                view(event)

        with view:
            return derive(engine, client, named[0], reference, emit=show)


def _other(
    reference: Reference, recorded: Recorded, candidates: Sequence[_Candidate], spec: str | None, *, as_json: bool
) -> int:
    """Say what a spec that was named has otherwise; where none was, nothing is known.

    Raises:
        UnknownError: no spec of the image was found.
    """
    by_name = [one for one in candidates if one.item.image.name == reference.repository.rpartition("/")[2]]
    closest = next(iter(by_name or candidates), None)
    if spec is None or closest is None:
        looked = ", ".join(sorted({str(one.found.file) for one in candidates})) or f"no {NAME}, no {_USUAL} here"
        raise UnknownError(
            f"no spec was found that makes {reference}: none has the identifier {recorded.identifier} ({looked})",
            hint=f"name its spec: imagebuild verify {reference} spec.py",
        )
    item = closest.item
    lines = [*(f"its lock is stale: {line}" for line in item.stale)]
    lines += explain(recorded, record(item.image, item.identity, item.materials))
    if as_json:
        print_document(_document(reference, recorded, closest, None, lines))
        return _DIFFERS
    click.echo(f"{click.style('differs', fg='red')}  {reference}  {closest.said} has another identifier")
    for line in lines:
        click.echo(f"         {line}")
    return _DIFFERS


def _document(
    reference: Reference,
    recorded: Recorded,
    chosen: _Candidate,
    derived: Derived | None,
    differences: Sequence[str] = (),
) -> dict[str, object]:
    return {
        "uri": str(reference),
        "identifier": recorded.identifier,
        "spec": str(chosen.found.file),
        "name": chosen.item.title,
        "locked": chosen.item.pins is not None,
        "same": derived is not None and derived.same,
        "digest": derived and derived.digest,
        "derived": derived and derived.derived,
        "differences": list(derived.differences if derived else differences),
    }
