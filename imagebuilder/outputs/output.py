"""The output port: is an image there already, and put it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from imagebuilder.errors import SpecError, VerificationError
from imagebuilder.identity.labels import IDENTIFIER
from imagebuilder.outputs.archive import write_archive, write_layout
from imagebuilder.registry import Client, EarlyPush, PushEvent, check_many, push, verify_pushed
from imagebuilder.registry.verdict import Absent, Present, Verdict
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import DOCKER_HUB, Reference

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.builders.port import Built
    from imagebuilder.identity.identified import Identified
    from imagebuilder.outputs.docker import Docker

Moved: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Published:
    """What is there now: the digest that was read back, its platforms, and what was moved."""

    digest: str
    platforms: tuple[str, ...]
    bytes_uploaded: int = 0


class Output(Protocol):
    """Where images go."""

    def check(self, items: Sequence[Identified]) -> list[Verdict]:
        """Whether each image is there for all its platforms; what cannot be asked is never taken for yes or no."""
        ...

    def publish(self, item: Identified, built: Built, moved: Moved) -> Published:
        """Put an image there and read it back."""
        ...


class Push:
    """A registry; `fills` says whether parts of images that others may want are kept there, too."""

    fills = True

    def __init__(self, client: Client) -> None:
        self.client = client
        self._early: dict[str, EarlyPush] = {}

    @contextmanager
    def early(self, item: Identified) -> Iterator[EarlyPush]:
        """What takes an image's layers while it is being made; `publish` then waits for them."""
        with EarlyPush(self.client, item.reference) as early:
            self._early[item.uri] = early
            try:
                yield early
            finally:
                del self._early[item.uri]

    def check(self, items: Sequence[Identified]) -> list[Verdict]:
        """Ask the registries, many at a time."""
        return check_many(self.client, [(item.reference, item.image.platforms) for item in items])

    def may_push(self, item: Identified) -> bool:
        """Whether the registry takes an upload from us, for repositories that it will not talk about otherwise."""
        return bool(self.client.can_push(item.reference))

    def publish(self, item: Identified, built: Built, moved: Moved) -> Published:
        """Push, then read the manifest back and compare its digest and platforms.

        Raises:
            PushError: the registry refused it.
            VerificationError: what is there is not what was pushed.
        """
        reference = item.reference
        early = self._early.get(item.uri)
        uploaded = early.finish(lambda now, total: moved(f"push {reference}", now, total)) if early else 0
        sent: dict[str, tuple[int, int]] = {}

        def on_event(event: PushEvent) -> None:
            if event.state == "uploading":
                sent[event.digest] = (event.sent, event.size)
            elif event.state == "uploaded":
                sent[event.digest] = (event.size, event.size)
            else:
                return
            now, total = map(sum, zip(*sent.values(), strict=True))
            moved(f"push {reference}", now, total)

        pushed = push(
            self.client,
            built.store,
            built.root,
            reference,
            mount_from=_mounts(item, reference),
            held_by=built.held_by,
            on_event=on_event,
        )
        present = verify_pushed(self.client, reference, pushed.digest, item.image.platforms)
        return Published(present.digest, tuple(map(str, present.platforms)), uploaded + pushed.bytes_uploaded)


class Load:
    """The local Docker engine."""

    def __init__(self, docker: Docker) -> None:
        self.docker = docker

    def check(self, items: Sequence[Identified]) -> list[Verdict]:
        """Whether Docker has an image of that name whose label carries the identifier."""
        _one_platform(items, "Docker is loaded with images of one")
        return [self._check(item) for item in items]

    def _check(self, item: Identified) -> Verdict:
        found = self.docker.config(item.uri)
        if found is None:
            return Absent(f"Docker has no image {item.uri}")
        config = found.get("Config")
        labels = (config.get("Labels") if isinstance(config, dict) else None) or {}
        platform = Platform.of(str(found.get("Os")), str(found.get("Architecture")), str(found.get("Variant") or ""))
        if not item.is_plain_base and labels.get(IDENTIFIER) != item.identity.identifier:
            return Absent(f"Docker's image {item.uri} was not made from this spec")
        if platform not in item.image.platforms:
            return Absent(f"Docker's image {item.uri} is for {platform}")
        return Present(str(found.get("Id")), (platform,))

    def publish(self, item: Identified, built: Built, moved: Moved) -> Published:  # noqa: ARG002
        """Load, then look whether Docker has it.

        Raises:
            WorkError: Docker refused it.
            VerificationError: Docker does not have it afterwards.
        """
        self.docker.load(built.store, built.root, item.uri)
        verdict = self._check(item)
        if not isinstance(verdict, Present):
            raise VerificationError(f"{item.uri} was loaded into Docker, but {verdict}")
        return Published(built.root.digest, tuple(map(str, verdict.platforms)))


class Layout:
    """A folder in the OCI image layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(self, items: Sequence[Identified]) -> list[Verdict]:
        """A folder is written anew: what it holds is not taken for the image."""
        return [Absent(f"{item.uri} is to be written to {self.folder}") for item in items]

    def publish(self, item: Identified, built: Built, moved: Moved) -> Published:  # noqa: ARG002
        """Write the image's blobs and list it under its name."""
        write_layout(built.store, built.root, item.uri, self.folder)
        return Published(built.root.digest, tuple(map(str, item.image.platforms)))


class Archive:
    """One tar file, for `docker load` and its like."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, items: Sequence[Identified]) -> list[Verdict]:
        """An archive is written anew.

        Raises:
            SpecError: it would have to hold several images, or several platforms.
        """
        _one_platform(items, "an archive holds one")
        if len({item.uri for item in items}) > 1:
            names = ", ".join(item.title for item in items)
            raise SpecError(
                f"{self.path} cannot hold several images ({names})",
                hint="name one, or write them to an OCI layout with --output oci:DIR",
            )
        return [Absent(f"{item.uri} is to be written to {self.path}") for item in items]

    def publish(self, item: Identified, built: Built, moved: Moved) -> Published:  # noqa: ARG002
        """Write the archive.

        Raises:
            SpecError: the image has several platforms.
        """
        write_archive(built.store, built.root, item.uri, self.path)
        return Published(built.root.digest, tuple(map(str, item.image.platforms)))


def _one_platform(items: Sequence[Identified], why: str) -> None:
    for item in items:
        if len(item.image.platforms) > 1:
            raise SpecError(
                f"{item.title} has several platforms ({', '.join(map(str, item.image.platforms))}); {why}",
                hint="choose one with --platform, or write an OCI layout with --output oci:DIR",
            )


def _mounts(item: Identified, target: Reference) -> tuple[str, ...]:
    """Repositories of the same registry that have the base's layers."""
    base = item.base_reference
    if base is None:
        return ()
    reference = Reference.parse(base)
    same = reference.registry == target.registry and reference.registry != DOCKER_HUB
    return (reference.repository,) if same else ()
