"""The cheapest correct way: what must run goes to BuildKit, what is only files is assembled on top."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.base import local_bases
from imagebuilder.builders.direct.python import NotDirectError
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.builders.port import Built
from imagebuilder.errors import ImageBuilderError, RegistryError
from imagebuilder.plan.ops import DockerfilePlan
from imagebuilder.plan.segments import segments
from imagebuilder.registry import Client, Descriptor, OCILayout, push

if TYPE_CHECKING:
    import threading

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.builder import DirectBuilder
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import Builder, BuildRequest, Prefix


class AutoBuilder:
    """Divides an image between `direct` and `buildkit`; where neither part will do, all of it goes to BuildKit."""

    def __init__(self, direct: DirectBuilder, buildkit: Builder, client: Client, cache_dir: Path) -> None:
        self._direct = direct
        self._buildkit = buildkit
        self._client = client
        self._prefixes = _PrefixMemory(cache_dir)

    def build(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """Build one image.

        Raises:
            ImageBuilderError: as the builders do.
        """
        try:
            if request.prefix is not None:
                bases = self._bases(request, request.prefix, emit, cancel)
                return self._direct.build_on(bases, request.prefix.rest, request, emit, cancel)
            found = segments(request.plan)
            if found is not None and found.prefix == 0 and not isinstance(request.plan, DockerfilePlan):
                return self._direct.build(request, emit, cancel)
        except NotDirectError as error:
            emit(Warning(request.name, f"built by BuildKit: {error.message}"))
        except RegistryError as error:
            emit(Warning(request.name, f"built by BuildKit, since the base could not be read: {error.message}"))
        return self._buildkit.build(request, emit, cancel)

    def _bases(self, request: BuildRequest, prefix: Prefix, emit: Emit, cancel: threading.Event) -> list[Base]:
        """The prefix image: from the registry, from this machine, or made by BuildKit now."""
        if not request.no_cache:
            if prefix.reference is not None:
                with suppress(RegistryError):
                    return self._direct.bases_of(prefix.reference, request.platforms)
            kept = self._prefixes.recall(prefix, request)
            if kept is not None:
                return local_bases(kept.store, kept.root, prefix.plan.titles[-1], request.platforms)
        built = self._buildkit.build(request.for_prefix(), emit, cancel)
        self._prefixes.remember(prefix, request, built)
        if prefix.reference is not None:
            try:
                push(self._client, built.store, built.root, prefix.reference)
            except ImageBuilderError as error:
                emit(Warning(request.name, f"other machines will build the steps that run anew: {error.message}"))
        return local_bases(built.store, built.root, prefix.plan.titles[-1], request.platforms)


class _PrefixMemory:
    """Which prefix images are in the store of this machine, whole."""

    def __init__(self, cache_dir: Path) -> None:
        self._store = OCILayout(cache_dir)
        self._folder = cache_dir / "prefixes"

    def recall(self, prefix: Prefix, request: BuildRequest) -> Built | None:
        with suppress(OSError, ValueError, KeyError, ImageBuilderError):
            root = Descriptor.parse(json.loads(self._path(prefix, request).read_text()))
            built = Built(self._store, root)
            bases = local_bases(self._store, root, "", request.platforms)
            if all(self._store.path(blob.digest).exists() for base in bases for blob in base.manifest.blobs):
                return built
        return None

    def remember(self, prefix: Prefix, request: BuildRequest, built: Built) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False) as part:
            json.dump(built.root.to_json(), part)
        Path(part.name).replace(self._path(prefix, request))

    def _path(self, prefix: Prefix, request: BuildRequest) -> Path:
        platforms = "+".join(str(platform).replace("/", "-") for platform in request.platforms)
        return self._folder / f"{prefix.identifier}-{platforms}.json"
