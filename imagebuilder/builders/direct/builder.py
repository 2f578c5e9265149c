"""The direct builder: a plan that is only files becomes an image without anything being run."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.base import Base, Bases, LayeredStore, held_by
from imagebuilder.builders.direct.base_memory import BaseMemory
from imagebuilder.builders.direct.facts import FactsMemory
from imagebuilder.builders.direct.forecast import Forecast, forecast
from imagebuilder.builders.direct.python import Environments
from imagebuilder.builders.direct.rebase import Standing, Swap, rebase
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.direct.remembered import Remembered
from imagebuilder.builders.direct.sdists import Sdists
from imagebuilder.builders.direct.work import Tools, Work
from imagebuilder.builders.events import Step, Warning  # noqa: A004 - the design's event
from imagebuilder.builders.port import Built
from imagebuilder.cache.in_use import in_use, touch
from imagebuilder.cache.kinds import BASES, FACTS, IMAGES
from imagebuilder.plan.ops import DockerfilePlan, Plan
from imagebuilder.registry import OCILayout
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from imagebuilder.builders.direct.registry_map import RegistryMap
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.builders.wheels import WheelStage
    from imagebuilder.registry import Client, ContentStore, Descriptor
    from imagebuilder.spec.platform import Platform

_INDEX = "application/vnd.oci.image.index.v1+json"


class DirectBuilder:
    """Assembles images; what it reads, fetches and makes is kept under `cache_dir`, and shared in `registry_map`.

    `stage` builds wheels where packages have none; without it nothing is run anywhere.
    """

    def __init__(
        self,
        cache_dir: Path,
        client: Client,
        environ: Mapping[str, str],
        stage: WheelStage | None = None,
        registry_map: RegistryMap | None = None,
    ) -> None:
        self._settings = client.settings
        self._stage = stage
        self._map = registry_map
        self._cache_dir = cache_dir
        self._store = OCILayout(IMAGES.at(cache_dir))
        self._bases = Bases(client, FactsMemory(FACTS.at(cache_dir)), BaseMemory(BASES.at(cache_dir)), registry_map)
        self._remembered = Remembered(cache_dir)
        self._environments = Environments(cache_dir, client.settings, environ, registry_map)

    def build(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """Assemble one image for every platform asked for.

        Raises:
            NotDirectError: something of it must be run, after all.
            BuildError: a step cannot be done, or packages could not be resolved or fetched.
            RegistryError: the base's registry, or a package index, could not say.
            SourceChangedError: a file is no longer what was identified.
            KeyboardInterrupt: `cancel` was set.
        """
        plan = request.plan
        if isinstance(plan, DockerfilePlan):
            raise _refused(request, "a Dockerfile must be run")
        try:
            return self.build_on(self.bases(request, emit, cancel), plan, request, emit, cancel)
        except NotDirectError as error:
            raise _refused(request, error.message) from None

    def bases(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> list[Base]:
        """The bases of a request, with all that must be known about them, in the order of the platforms.

        Raises:
            BuildError: it lacks a platform.
            RegistryError: the registry could not say, or a layer cannot be read here.
        """
        plan = request.plan
        assert isinstance(plan, Plan)
        began = time.monotonic()
        emit(Step(request.name, "base", f"FROM {plan.base}", "started", 0))
        try:
            found = self.bases_of(Reference.parse(plan.base), request, emit, cancel)
        except Exception:
            emit(Step(request.name, "base", f"FROM {plan.base}", "failed", 0, time.monotonic() - began))
            raise
        emit(Step(request.name, "base", f"FROM {plan.base}", "done", 0, time.monotonic() - began))
        return found

    def bases_of(self, reference: Reference, request: BuildRequest, emit: Emit, cancel: threading.Event) -> list[Base]:
        """As `bases`, of an image at a registry."""
        found = [self._bases.base(reference, platform) for platform in request.platforms]
        for base in found:
            self._bases.facts(base, _interrupts(cancel), lambda message: emit(Warning(request.name, message)))
        return found

    def forecast(self, base: Base, plan: Plan, request: BuildRequest, platform: Platform) -> Forecast:
        """What the packages of a plan take on a base; nothing is made.

        Raises:
            ImageBuilderError: as `build_on` does.
        """
        room = len(base.manifest.layers) + len(plan.steps) + 1
        facts, sdists = self._bases.facts(base), None
        if self._stage is not None:
            sdists = Sdists(
                self._cache_dir, self._settings, self._stage, base, plan, request, platform,
                emit=lambda _event: None, cancel=threading.Event(), tools=_tools(request, platform),
            )  # fmt: skip
        return forecast(
            self._environments, self._cache_dir, plan, request, facts,
            settings=self._settings, platform=platform, room=room, sdists=sdists,
        )  # fmt: skip

    def build_on(
        self, bases: Sequence[Base], plan: Plan, request: BuildRequest, emit: Emit, cancel: threading.Event
    ) -> Built:
        """As `build`, with a plan's steps, or the last of them, put on given bases, one for each platform."""

        def sdists(base: Base, plan: Plan, platform: Platform) -> Sdists | None:
            if self._stage is None:
                return None
            return Sdists(
                self._cache_dir, self._settings, self._stage, base, plan, request, platform,
                emit=emit, cancel=cancel, tools=_tools(request, platform),
            )  # fmt: skip

        tools = Tools(self._store, self._environments, emit, _interrupts(cancel), self._remembered, sdists)
        roots = []
        shared: dict[str, ContentStore] = {}
        with in_use(self._cache_dir):
            for platform, base in zip(request.platforms, bases, strict=True):
                facts = self._bases.facts(base, tools.check)
                work = Work(tools, base, facts, plan=plan, request=request, platform=platform)
                roots.append(work.run().replace(platform=platform))
                shared |= work.assembly.shared
                touch(self._store.path(layer.descriptor.digest) for layer in work.assembly.layers)
            root = roots[0].replace(platform=None) if len(roots) == 1 else self._index(roots)
        holders = held_by(bases, self._settings, request.registry)
        if self._map is not None and self._map.serves(request.registry):
            holders |= dict.fromkeys(shared, self._map.repository.repository)
        return Built(LayeredStore(self._store, bases, shared), root, holders)

    def rebase(
        self, standings: Sequence[Standing], base: Reference, *, name: str, labels: Mapping[str, str]
    ) -> tuple[Built, list[Swap]]:
        """Put an image on another base, platform by platform; see `rebase`."""
        tools = Tools(self._store, self._environments, lambda _event: None, lambda: None, self._remembered)
        with in_use(self._cache_dir):
            swaps = [rebase(tools, self._bases, one, base, name=name, labels=labels) for one in standings]
            roots = [swap.root for swap in swaps]
            root = roots[0].replace(platform=None) if len(roots) == 1 else self._index(roots)
        below = [*(swap.base for swap in swaps), *(one.image for one in standings)]
        return Built(LayeredStore(self._store, below, {}), root), swaps

    def _index(self, roots: list[Descriptor]) -> Descriptor:
        content = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [root.to_json() for root in roots]}
        return self._store.write(json.dumps(content, separators=(",", ":"), sort_keys=True).encode(), _INDEX)


def _refused(request: BuildRequest, why: str) -> NotDirectError:
    return NotDirectError(
        f"{request.name} is not only files: {why.removeprefix(f'{request.name}: ')}",
        hint='leave out --builder direct, or builder = "direct": what must run then goes to BuildKit',
    )


def _interrupts(cancel: threading.Event) -> Callable[[], None]:
    def check() -> None:
        if cancel.is_set():
            raise KeyboardInterrupt

    return check


def _tools(request: BuildRequest, platform: Platform) -> str:
    """The time that a lock fixes the tools of builds by."""
    return request.pins.of(platform).tools if request.pins else ""
