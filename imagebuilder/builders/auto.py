"""The cheapest correct way: what must run goes to BuildKit, what is only files is assembled on top."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.base import local_bases
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.cache.in_use import touch
from imagebuilder.cache.kinds import IMAGES, PREFIXES
from imagebuilder.cache.notes import read_note, write_note
from imagebuilder.errors import BuilderUnavailableError, ImageBuilderError, RegistryError
from imagebuilder.plan.ops import DockerfilePlan
from imagebuilder.plan.segments import segments
from imagebuilder.registry import Client, Descriptor, OCILayout, push

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.builder import DirectBuilder
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import Builder, BuildRequest, Built, Prefix

_LARGEST_NOTE = 64 << 10


class AutoBuilder:
    """Divides an image between `direct` and `buildkit`; where neither part will do, all of it goes to BuildKit."""

    def __init__(self, direct: DirectBuilder, buildkit: Builder, client: Client, cache_dir: Path) -> None:
        self.direct = direct
        self._buildkit = buildkit
        self._client = client
        self._prefixes = _PrefixMemory(cache_dir)

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
            bases = self._prefix_bases(request, request.prefix, emit, cancel)
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
        """The prefix image where it was made before, on this machine or for the registry; else None."""
        kept = self._prefixes.recall(prefix, request)
        if kept is None and prefix.reference is not None:
            # Neither a registry that cannot say nor an image without the platform keeps us from making it.
            with suppress(ImageBuilderError):
                return self.direct.bases_of(prefix.reference, request, emit, cancel)
        return kept

    def _prefix_bases(self, request: BuildRequest, prefix: Prefix, emit: Emit, cancel: threading.Event) -> list[Base]:
        """The prefix image: from this machine, from the registry, or made by BuildKit now."""
        kept = None if request.no_cache else self.standing(prefix, request, emit, cancel)
        if kept is not None:
            return kept
        built = self._buildkit.build(request.for_prefix(), emit, cancel)
        self._prefixes.remember(prefix, request, built)
        if prefix.reference is not None and prefix.push:
            try:
                push(self._client, built.store, built.root, prefix.reference)
            except ImageBuilderError as error:
                emit(Warning(request.name, f"other machines will build the steps that run anew: {error.message}"))
        return local_bases(built.store, built.root, _name(prefix), request.platforms)


def _name(prefix: Prefix) -> str:
    return f"the steps up to {prefix.plan.titles[-1]}"


class _PrefixMemory:
    """Which prefix images are in the store of this machine, whole."""

    def __init__(self, cache_dir: Path) -> None:
        self._store = OCILayout(IMAGES.at(cache_dir))
        self._folder = PREFIXES.at(cache_dir)

    def recall(self, prefix: Prefix, request: BuildRequest) -> list[Base] | None:
        """The prefix for each platform; None where a part of it is not there any more."""
        with suppress(OSError, ValueError, KeyError, TypeError, ImageBuilderError):
            root = Descriptor.parse(json.loads(read_note(self._path(prefix, request), _LARGEST_NOTE) or b""))
            bases = local_bases(self._store, root, _name(prefix), request.platforms)
            blobs = [(self._store.path(blob.digest), blob.size) for base in bases for blob in base.manifest.blobs]
            if all(path.stat().st_size == size for path, size in blobs):
                touch([self._store.path(root.digest), *(path for path, _ in blobs)])
                touch(self._store.path(base.manifest.digest) for base in bases)
                return bases
        return None

    def remember(self, prefix: Prefix, request: BuildRequest, built: Built) -> None:
        """Note a prefix; what cannot be noted is built, or read from the registry, again."""
        write_note(self._path(prefix, request), json.dumps(built.root.to_json()).encode())

    def _path(self, prefix: Prefix, request: BuildRequest) -> Path:
        platforms = "+".join(str(platform).replace("/", "-") for platform in request.platforms)
        return self._folder / f"{prefix.identifier}-{platforms}.json"
