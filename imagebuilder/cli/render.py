"""`imagebuild render`."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagebuilder.cli import options
from imagebuilder.cli.locks import warn_of_stale, with_locks
from imagebuilder.cli.specs import find_images, published_at
from imagebuilder.config import Config, load
from imagebuilder.errors import ConfigError, SpecError
from imagebuilder.spec.credential import mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.builders.site import Site
    from imagebuilder.identity.identified import Identified
    from imagebuilder.plan.ops import DockerfilePlan, Plan

MARKER = ".imagebuild-render"  # a folder that holds it is ours to write anew
SITE_SCRIPT = ".imagebuild-site.sh"  # what steps get from the site; no layer takes it
_MARK = "Written by `imagebuild render`, which writes this folder anew.\n"


@click.command("render", short_help="Print the Dockerfile of an image, or write its build context.")
@options.specs()
@options.names
@options.platform
@options.lock
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write Dockerfile and context; a folder for each of several.",
)
def command(
    *,
    specs: tuple[Path, ...],
    names: tuple[str, ...],
    platform: tuple[str, ...],
    locked: bool,
    no_lock: bool,
    output: Path | None,
) -> int:
    """Print the Dockerfile of each image in SPEC, or write folders that plain `docker build` accepts.

    Secrets are not needed. A registry is asked only where a base's user must be known.
    """
    found = find_images(specs, names)
    config = with_locks(load(), found, locked=locked, no_lock=no_lock)
    items = config.make_resolver().identify(published_at(found, platform=platform))
    warn_of_stale(items)
    plans = _plans(config, items)
    if output is None:
        for item, plan in zip(items, plans, strict=True):
            text = _dockerfile(plan, config.make_site())
            click.echo((f"# image: {item.title}\n" if len(items) > 1 else "") + text.rstrip("\n"))
        return 0
    folders = [output] if len(items) == 1 else [output / _folder_name(item) for item in items]
    for folder in (output, *folders):
        _require_ours(folder, [path.name for path in folders] if folder == output and len(items) > 1 else [])
    for item, plan, folder in zip(items, plans, folders, strict=True):
        _write(config, item, plan, folder)
    return 0


def _plans(config: Config, items: Sequence[Identified]) -> list[Plan | DockerfilePlan]:
    plain = [item for item in items if item.is_plain_base]
    if plain:
        raise SpecError(
            f"{plain[0].title} is {plain[0].uri} itself: there is nothing to render",
            hint="add layers, or choose others with --name",
        )
    with config.make_client() as client:
        engine = config.make_engine(client)
        return [engine.plan(item) for item in items]


def _dockerfile(plan: Plan | DockerfilePlan, site: Site) -> str:
    from imagebuilder.plan.ops import Plan
    from imagebuilder.plan.render import render

    if isinstance(plan, Plan):
        return render(plan, site=bool(site.script), ca=site.ca_bundle is not None, bytecode=site.bytecode).dockerfile
    import tempfile

    from imagebuilder.sources.material import Material

    with tempfile.TemporaryDirectory(prefix="imagebuild-") as folder:
        Material(tuple(piece for piece in plan.material.pieces if piece[0] == "Dockerfile")).write(Path(folder) / "one")
        return (Path(folder) / "one" / "Dockerfile").read_text(encoding="utf-8", errors="surrogateescape")


def _write(config: Config, item: Identified, plan: Plan | DockerfilePlan, folder: Path) -> None:
    from imagebuilder.builders.context import write_context, write_dockerfile_context
    from imagebuilder.builders.tools import Tools
    from imagebuilder.plan.ops import DockerfilePlan
    from imagebuilder.plan.secrets import needs

    _make_empty(folder)
    site, flags = config.make_site(), []
    where = shlex.quote(str(folder))
    if isinstance(plan, DockerfilePlan):
        dockerfile, context = write_dockerfile_context(plan, folder)
        places = f"--file {shlex.quote(str(dockerfile))} {shlex.quote(str(context))}"
    else:
        tools = Tools(config.cache_dir, config.environ)
        rendered = write_context(
            plan,
            folder,
            item.image.platforms,
            tools,
            site=bool(site.script),
            ca=site.ca_bundle is not None,
            bytecode=site.bytecode,
        )
        flags = _site_flags(site, rendered.dockerfile, folder)
        places = where
    words = ["docker buildx build", f"--tag {item.uri}"]
    words += [f"--secret id={name},src=FILE" for name in needs(item.image)]
    words += [*flags, *(f"--build-arg {name}" for name, _ in site.proxies)]
    words += [f"--network {shlex.quote(site.network)}"] if site.network else []
    words += [f"--platform {','.join(map(str, item.image.platforms))}"] if len(item.image.platforms) > 1 else []
    click.echo(f"{item.title}: written to {folder}; to build it: {' '.join(words)} {places}", err=True)
    if site.secret_values and any(SITE_SCRIPT in flag for flag in flags):
        click.echo(f"{item.title}: put the index's login in the place of *** in {folder / SITE_SCRIPT}", err=True)


def _site_flags(site: Site, dockerfile: str, folder: Path) -> list[str]:
    """The flags for what a Dockerfile mounts of the site; writes the file that one of them names, without logins."""
    from imagebuilder.plan.render import CA_SECRET, SITE_SECRET

    flags = []
    if site.script and f"id={SITE_SECRET}" in dockerfile:
        (folder / SITE_SCRIPT).write_text(mask(site.script))
        flags.append(f"--secret id={SITE_SECRET},src={shlex.quote(str(folder / SITE_SCRIPT))}")
    if site.ca_bundle is not None and f"id={CA_SECRET}" in dockerfile:
        flags.append(f"--secret id={CA_SECRET},src={shlex.quote(site.ca_bundle)}")
    return flags


def _require_ours(folder: Path, may_hold: Sequence[str]) -> None:
    """Refuse a folder that holds other than an earlier render."""
    try:
        if not folder.exists() or (folder / MARKER).is_file():
            return
        held = [path.name for path in folder.iterdir() if path.name not in may_hold]
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None
    if held:
        more = ", ..." if len(held) > 1 else ""
        raise ConfigError(
            f"{folder} holds other files ({held[0]}{more}), and rendering writes the folder anew",
            hint="name an empty folder, or one that does not exist",
        )


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        (folder / MARKER).write_text(_MARK)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None


def _folder_name(item: Identified) -> str:
    return item.title.replace("/", "-").replace(":", "-")
