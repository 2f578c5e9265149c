"""What people call from Python."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.config import Config, load
from imagebuilder.errors import SecretError, SpecError
from imagebuilder.spec.base import NamedBase, ReferenceBase
from imagebuilder.spec.image import Image

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from imagebuilder.builders.events import BuildEvent
    from imagebuilder.deploy.rebase import Rebased
    from imagebuilder.engine import Options, Result
    from imagebuilder.identity.identified import Identified
    from imagebuilder.outputs.output import Output
    from imagebuilder.registry import Client
    from imagebuilder.registry.credential import Credential
    from imagebuilder.vault import Vault


def identify(*images: Image, lock: str | os.PathLike[str] | None = None) -> list[str]:
    """The identifiers of images; a folder that several share is read once. With `lock` those of the locked images.

    Raises:
        InputError: a spec, or a file it names, cannot be part of an image.
        LockError: the lock does not have an image, or is stale.
    """
    return [item.identity.identifier for item in _identify(images, lock)]


def identify_image(image: Image) -> Identified:
    """One image with its identity."""
    return _identify((image,))[0]


def build(
    *images: Image,
    registry: str | None = None,
    push: bool | None = None,
    force: bool = False,
    no_cache: bool = False,
    dry_run: bool = False,
    secrets: Mapping[str, str] | None = None,
    lock: str | os.PathLike[str] | None = None,
    on_event: Callable[[BuildEvent], None] | None = None,
    cancel: threading.Event | None = None,
) -> list[Result]:
    """Make images be there: build what is missing, publish it, verify it; returns a result for each.

    With a registry (`registry`, the image's, or the configuration's) images are pushed unless `push` is False;
    otherwise they are loaded into Docker, or written to `./images` in the OCI layout where no Docker answers.
    `secrets` say where values are, as on the command line: `{"TOKEN": "env:CI_TOKEN"}`. `lock` is a lock file that must
    have every image, by its name, and be fresh; where the configuration says `locked`, it is the one in the current
    folder. `on_event` gets every event,
    one at a time, from several threads. A set `cancel` ends the build soon, and leaves nothing running.

    Raises:
        ImageBuilderError: see `imagebuilder.errors`.
    """
    from imagebuilder.engine import Options

    if not images or not all(isinstance(image, Image) for image in images):
        raise SpecError("build() takes images", hint="write imagebuilder.build(image)")
    config = load(flags={"secrets": dict(secrets or {})})
    options = Options(
        force=force,
        no_cache=no_cache,
        dry_run=dry_run,
        build_unknown=config.on_unknown == "build",
        parallel=config.parallel,
        cache_from=config.cache_from,
        cache_to=config.cache_to,
    )
    config = _locked(config, images, lock)
    named = [(title, published_at(image, registry)) for title, image in _titled(images)]
    return run_build(config, named, options, push=push, on_event=on_event, cancel=cancel)


async def build_async(
    *images: Image,
    registry: str | None = None,
    push: bool | None = None,
    force: bool = False,
    no_cache: bool = False,
    dry_run: bool = False,
    secrets: Mapping[str, str] | None = None,
    lock: str | os.PathLike[str] | None = None,
    on_event: Callable[[BuildEvent], None] | None = None,
) -> list[Result]:
    """As `build`, for coroutines; a cancelled task cancels the build."""
    import asyncio

    cancel = threading.Event()
    try:
        return await asyncio.to_thread(
            build,
            *images,
            registry=registry,
            push=push,
            force=force,
            no_cache=no_cache,
            dry_run=dry_run,
            secrets=secrets,
            lock=lock,
            on_event=on_event,
            cancel=cancel,
        )
    except asyncio.CancelledError:
        cancel.set()
        raise


def rebase(image: str, base: str, *, to: str | None = None, dry_run: bool = False) -> Rebased:
    """Put an image that was assembled directly on another base, and push it; none of its layers moves.

    `to` is where the result goes, by default the tag that a build on the base would give it.

    Raises:
        ImageBuilderError: see `imagebuilder.errors`.
    """
    from imagebuilder.deploy.rebase import rebase_image

    config = load()
    with config.make_client() as client:
        return rebase_image(client, config.make_direct(client), image, base, to=to, dry_run=dry_run)


def run_build(
    config: Config,
    images: Sequence[tuple[str, Image]],
    options: Options,
    *,
    push: bool | None = None,
    output: Output | None = None,
    on_event: Callable[[BuildEvent], None] | None = None,
    cancel: threading.Event | None = None,
) -> list[Result]:
    """Build with a configuration: images that go to a registry, and images that stay here, each their way.

    A set `cancel` ends the build soon.
    """
    from imagebuilder.vault import Vault, site_is_usable

    emit = on_event or (lambda _event: None)
    vault = Vault(config.environ, config.secrets)
    with config.make_client(registry_logins(images, vault)) as client:
        engine = config.make_engine(client)
        site_is_usable(engine.site)
        results: dict[int, Result] = {}
        for target, numbers in _outputs(config, images, client, push, output):
            chosen = [images[number] for number in numbers]
            results.update(zip(numbers, engine.ensure(chosen, target, options, emit, cancel), strict=True))
    return [results[number] for number in range(len(images))]


def published_at(image: Image, registry: str | None) -> Image:
    """The image at another registry."""
    return image if registry is None or _is_plain(image) else image.clone(registry=registry)


def local_output(config: Config) -> Output:
    """Where images without a registry go: Docker where one answers, else an OCI layout in the current folder."""
    from imagebuilder.outputs.docker import Docker
    from imagebuilder.outputs.output import Layout, Load

    docker = Docker(config.environ)
    return Load(docker) if docker.answers() else Layout(Path("images"))


def registry_logins(images: Sequence[tuple[str, Image]], vault: Vault) -> dict[str, Credential]:
    """The logins that specs name with `registry_secret`, by registry: a value is `user:password`."""
    from imagebuilder.registry.credential import Credential

    logins: dict[str, Credential] = {}
    for title, image in images:
        if image.registry_secret is None or image.registry is None:
            continue
        user, colon, password = vault.value(image.registry_secret).partition(":")
        if not colon:
            raise SecretError(
                f"{title}: the registry secret {image.registry_secret.key} is not user:password",
                hint="give its value as user:password, or log in with docker login",
            )
        logins[image.registry] = Credential(user, password, source=f"secret {image.registry_secret.key}")
    return logins


def _outputs(
    config: Config, images: Sequence[tuple[str, Image]], client: Client, push: bool | None, output: Output | None
) -> list[tuple[Output, list[int]]]:
    from imagebuilder.outputs.output import Push

    numbers = list(range(len(images)))
    if output is not None:
        return [(output, numbers)]
    pushed = [number for number in numbers if push is not False and _has_registry(images[number][1], config)]
    here = [number for number in numbers if number not in pushed]
    if push and here:
        names = ", ".join(images[number][0] for number in here)
        raise SpecError(
            f"{names}: there is no registry to push to",
            hint='write registry="ghcr.io/team" in the spec, or give --registry ghcr.io/team',
        )
    chosen: list[tuple[Output, list[int]]] = [(Push(client), pushed)] if pushed else []
    return [*chosen, (local_output(config), here)] if here else chosen


def _has_registry(image: Image, config: Config) -> bool:
    return _is_plain(image) or (image.registry or config.registry) is not None


def _is_plain(image: Image) -> bool:
    return isinstance(image.base, (ReferenceBase, NamedBase)) and not image.layers


def _identify(images: Sequence[Image], lock: str | os.PathLike[str] | None = None) -> list[Identified]:
    config = load() if lock is None else _locked(load(), images, lock)
    return config.make_resolver().identify(_titled(images))


def _locked(config: Config, images: Sequence[Image], lock: str | os.PathLike[str] | None) -> Config:
    """The configuration with the lock of images, which are looked up by the names they are published under."""
    if lock is None and not config.locked:
        return config
    from imagebuilder.lock.lock_file import NAME, LockFile
    from imagebuilder.lock.locks import Held, Locks

    file = LockFile.read(Path(lock or NAME))
    held = {
        title: Held(file.path, file.published_as(image.name or ""), file.exists) for title, image in _titled(images)
    }
    return replace(config, locks=Locks(held, required=True))


def _titled(images: Sequence[Image]) -> list[tuple[str, Image]]:
    return [(image.name or f"image {number}", image) for number, image in enumerate(images, start=1)]
