"""The cheapest correct way: what must run goes to BuildKit, what is only files is assembled on top."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.base import local_bases
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.builders.prefix_memory import PrefixMemory
from imagebuilder.errors import BuilderUnavailableError, ImageBuilderError, RegistryError
from imagebuilder.plan.ops import DockerfilePlan
from imagebuilder.plan.segments import segments
from imagebuilder.registry import push

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.builder import DirectBuilder
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import Builder, BuildRequest, Built, Prefix
    from imagebuilder.registry import Client, ContentStore, Descriptor


class AutoBuilder:
    """Divides an image between `direct` and `buildkit`; where neither part will do, all of it goes to BuildKit."""

    def __init__(self, direct: DirectBuilder, buildkit: Builder, client: Client, cache_dir: Path) -> None:
        self.direct = direct
        self._buildkit = buildkit
        self._client = client
        self._prefixes = PrefixMemory(cache_dir)

    def build(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """Build one image.

        Raises:
            ImageBuilderError: as the builders do.
        """
        refused: dict[int, str] = {}
        while True:
            try:
                return self._build(request, emit, cancel)
            except NotDirectError as error:
                why = error.message.removeprefix(f"{request.name}: ")
                prefix = self._more(request, refused, error.layer, why)
                if prefix is None:
                    emit(Warning(request.name, f"all of it is built by BuildKit: {why}"))
                    return self._buildkit.build(request, emit, cancel)
                last = len(prefix.plan.titles) - 1
                layers = f"layers 1 to {last} are" if last > 1 else "layer 1 is"
                emit(Warning(request.name, f"{layers} built by BuildKit: {why}"))
                request = replace(request, prefix=prefix)

    def _more(self, request: BuildRequest, refused: dict[int, str], layer: int | None, why: str) -> Prefix | None:
        """A part that runs and has this layer too; None where all would be in it, or nothing more than there was."""
        if layer is None or request.divide is None:
            return None
        refused[layer] = why
        found, before = request.divide(refused), request.prefix
        return None if found is None or (before and before.identifier == found.identifier) else found

    def _build(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """Build what the request says is to be built, and assemble the rest.

        Raises:
            NotDirectError: the rest is more than files.
        """
        if request.prefix is not None:
            bases = self.prefix_bases(request, emit, cancel)
            return self.direct.build_on(bases, request.prefix.rest, request, emit, cancel)
        found = segments(request.plan)
        if found is None or found.prefix or isinstance(request.plan, DockerfilePlan):
            return self._buildkit.build(request, emit, cancel)
        try:
            bases = self.direct.bases(request, emit, cancel)
        except RegistryError as error:
            return self._without_base(error, request, emit, cancel)
        return self.direct.build_on(bases, request.plan, request, emit, cancel)

    def _without_base(self, error: RegistryError, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """BuildKit may have the base itself, reach its registry another way, or read what we cannot."""
        emit(
            Warning(request.name, f"all of it is built by BuildKit, since we could not read the base: {error.message}")
        )
        try:
            return self._buildkit.build(request, emit, cancel)
        except BuilderUnavailableError:
            raise error from None

    def standing(self, prefix: Prefix, request: BuildRequest, emit: Emit, cancel: threading.Event) -> list[Base] | None:
        """The prefix image where it was made before, on this machine or for the registry; else None.

        The registry's is what other machines build on, so it comes first where it may be another one.
        """
        kept = self._prefixes.recall(prefix, request)
        if kept is not None and (prefix.reference is None or kept.published == str(prefix.reference)):
            return kept.bases
        if prefix.reference is not None:
            # Neither a registry that cannot say nor an image without the platform keeps us from making it.
            with suppress(ImageBuilderError):
                there = self.direct.bases_of(prefix.reference, request, emit, cancel)
                if kept is None or _digests(there) != _digests(kept.bases):
                    return there
                self._prefixes.remember(prefix, request, kept.root, published=True)
        return kept.bases if kept else None

    def prefix_bases(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> list[Base]:
        """The prefix image of a request: from this machine, from the registry, or made by BuildKit now.

        Raises:
            ImageBuilderError: as BuildKit does.
        """
        prefix = request.prefix
        assert prefix is not None
        bases = None if request.no_cache else self.standing(prefix, request, emit, cancel)
        if bases is None:
            built = self._buildkit.build(request.for_prefix(), emit, cancel)
            self._prefixes.remember(prefix, request, built.root)
            self._publish(prefix, request, built.store, built.root, emit)
            return local_bases(built.store, built.root, _name(prefix), request.platforms)
        kept = self._prefixes.recall(prefix, request)
        if kept is not None and kept.published != str(prefix.reference) and _digests(bases) == _digests(kept.bases):
            self._publish(prefix, request, self._prefixes.store, kept.root, emit)
        return bases

    def _publish(
        self, prefix: Prefix, request: BuildRequest, store: ContentStore, root: Descriptor, emit: Emit
    ) -> None:
        """Give other machines a prefix that was made here."""
        if prefix.reference is None or not prefix.push:
            return
        try:
            push(self._client, store, root, prefix.reference)
        except ImageBuilderError as error:
            emit(Warning(request.name, f"other machines will build the steps that run anew: {error.message}"))
        else:
            self._prefixes.remember(prefix, request, root, published=True)


def _name(prefix: Prefix) -> str:
    return f"the steps up to {prefix.plan.titles[-1]}"


def _digests(bases: list[Base]) -> list[str]:
    return [base.manifest.digest for base in bases]
