"""From specs to images that are there: identify, check, plan, build, publish, verify."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from imagebuilder.builders.events import BuildEvent, Emit, Finished, Progress
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.builders.port import Builder, BuildRequest, Built, Prefix
from imagebuilder.builders.site import Site
from imagebuilder.errors import SecretError, UnknownError
from imagebuilder.identity.identified import Identified
from imagebuilder.identity.identifier import identify
from imagebuilder.identity.inputs import steps_of
from imagebuilder.outputs.output import Load, Output, Published, Push
from imagebuilder.plan.lower import lower, needs_base_user
from imagebuilder.plan.ops import DockerfilePlan, Plan
from imagebuilder.plan.pinned import pinned, pinned_base
from imagebuilder.plan.sdk import is_sdk, sdk_of
from imagebuilder.plan.secrets import needs
from imagebuilder.plan.segments import segments
from imagebuilder.registry.verdict import Absent, Present, Unknown, Verdict
from imagebuilder.spec.base import DebianBase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from imagebuilder.bases import BaseUsers
    from imagebuilder.identity.resolver import Resolver
    from imagebuilder.plan.sdk import SdkFor
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.store import ContentStore
    from imagebuilder.sources.material import Material
    from imagebuilder.spec.image import Image
    from imagebuilder.vault import Vault


@dataclass(frozen=True)
class Result:
    """What became of one image."""

    name: str
    uri: str
    identifier: str
    digest: str | None
    platforms: tuple[str, ...]
    built: bool
    pushed: bool
    bytes_uploaded: int
    seconds: float
    would_build: bool = False


@dataclass(frozen=True)
class Options:
    """How `ensure` goes about it; `build_unknown` builds what a registry could not be asked about."""

    force: bool = False
    no_cache: bool = False
    dry_run: bool = False
    build_unknown: bool = False
    parallel: int = 2
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """Collaborators put together; `imagebuilder.config.load` makes one from the user's configuration."""

    resolver: Resolver
    builder: Builder
    vault: Vault
    bases: BaseUsers
    sdks: Callable[[SdkFor], Material]
    site: Site = field(default_factory=Site)
    cache: Callable[[], AbstractContextManager[None]] = nullcontext  # held while images are made and published

    def plan(self, item: Identified) -> Plan | DockerfilePlan:
        """Decide how an image is made; asks its base's registry only where the base's user must be known."""
        user = ""
        if item.base_reference is not None and needs_base_user(item.image):
            reference = pinned_base(item.base_reference, item.pins) if item.pins else item.base_reference
            user = self.bases.user(reference, item.image.platforms[0])
        wanted = sdk_of(item.image, item.materials)
        if wanted is not None and item.pins is not None:
            wanted = wanted._replace(bytecode=item.pins.bytecode, digest=item.pins.sdk)
        sdk = self.sdks(wanted) if wanted is not None else None
        plan = lower(item.image, item.identity, item.materials, self.resolver.recipe, user, sdk)
        return plan if item.pins is None or isinstance(plan, DockerfilePlan) else pinned(plan, item.pins)

    def prefix(
        self,
        item: Identified,
        plan: Plan | DockerfilePlan,
        output: Output,
        refused: Mapping[int, str] | None = None,
    ) -> Prefix | None:
        """How an image divides into layers that must run, as an image of its own, and files on top of it.

        `refused` are layers that must be in the former, with the reason, although they look like files.
        """
        found = segments(plan, refused)
        if found is None or isinstance(plan, DockerfilePlan) or not 0 < found.prefix < len(item.image.layers):
            return None
        first, rest = self._divided(item, plan, found.prefix)
        below = self.plan(first)
        assert isinstance(below, Plan)
        identifier = first.identity.identifier
        kept = item.reference.with_tag(identifier) if isinstance(output, Push) else None
        return Prefix(identifier, below, rest, kept, push=isinstance(output, Push) and output.fills)

    def below(self, item: Identified, layer: int) -> Prefix | None:
        """The layers before one, as an image of its own; None where nothing of them runs.

        It is what a build makes first, where that build assembles the layer.
        """
        plan = self.plan(item)
        found = segments(plan)
        layers = min(found.prefix, layer - 1) if found else 0
        if layers < 1 or isinstance(plan, DockerfilePlan):
            return None
        first, rest = self._divided(item, plan, layers)
        below = self.plan(first)
        runs = segments(below)
        if runs is None or not runs.prefix or isinstance(below, DockerfilePlan):
            return None
        identifier = first.identity.identifier
        kept = item.reference.with_tag(identifier) if item.image.registry else None
        return Prefix(identifier, below, rest, kept, push=False)

    def _divided(self, item: Identified, plan: Plan, layers: int) -> tuple[Identified, Plan]:
        """An image of the first layers alone, and the steps of a plan that come after them."""
        last = max(number for number, step in enumerate(plan.steps) if 0 < step.layer <= layers)
        first, rest = plan.steps[: last + 1], plan.steps[last + 1 :]
        image = item.image.replace(layers=item.image.layers[:layers])
        if isinstance(image.base, DebianBase) and not any(is_sdk(step) for step in first):
            image = image.replace(base=image.base.replace(sdk=None))  # it goes on top, the same layer as elsewhere
        materials = replace(item.materials, layers=item.materials.layers[:layers])
        pins = None
        if item.pins:
            pins = item.pins.first(steps_of(image), sdk=sdk_of(image, materials) is not None)
        identity = identify(image, materials, self.resolver.recipe, pins.digest if pins else None)
        return Identified(item.title, image, identity, materials, pins), replace(plan, steps=rest)

    def ensure(
        self,
        images: Sequence[tuple[str, Image]],
        output: Output,
        options: Options | None = None,
        emit: Emit = lambda _event: None,
        cancel: threading.Event | None = None,
    ) -> list[Result]:
        """Make every image be where `output` puts it: build what is missing, verify what was published.

        Raises:
            ImageBuilderError: the first failure; builds that were running are cancelled.
        """
        options, cancel = options or Options(), cancel or threading.Event()
        items = self.resolver.identify(images)
        for item in items:
            if item.stale:
                emit(BuildWarning(item.title, f"its lock is stale and is not used: {'; '.join(item.stale)}"))
        verdicts = output.check(items)
        work = _Work(self, output, options, emit, cancel)
        for item, verdict in zip(items, verdicts, strict=True):
            work.consider(item, verdict)
        return work.run()


class _Work:
    """One `ensure`: what is there, what is built once for all who want it, and what is published where."""

    def __init__(self, engine: Engine, output: Output, options: Options, emit: Emit, cancel: threading.Event) -> None:
        self.engine, self.output, self.options, self.cancel = engine, output, options, cancel
        self._emit, self._lock = emit, threading.Lock()
        self.results: dict[int, Result] = {}
        self.builds: dict[str, list[tuple[int, Identified]]] = {}
        self.count = 0

    def emit(self, event: BuildEvent) -> None:
        with self._lock:
            self._emit(event)

    def consider(self, item: Identified, verdict: Verdict) -> None:
        number, self.count = self.count, self.count + 1
        match verdict:
            case Present(digest, platforms) if not self.options.force or item.is_plain_base:
                self.done(number, item, Published(digest, tuple(map(str, platforms))), built=False, seconds=0.0)
            case Unknown() if item.is_plain_base or not self._build_unknown(item, verdict):
                otherwise = "" if item.is_plain_base else ", or build all the same with --on-unknown build"
                raise UnknownError(
                    f"{item.title}: could not find out whether {item.uri} exists: {verdict.reason}",
                    hint=verdict.hint or f"try again{otherwise}",
                )
            case Absent(reason) if item.is_plain_base and isinstance(self.output, (Push, Load)):
                raise UnknownError(
                    f"{item.title}: the base image {item.uri} does not exist: {reason}",
                    hint="check its name and tag" if isinstance(self.output, Push) else f"run docker pull {item.uri}",
                )
            case _:
                if isinstance(verdict, Unknown):
                    self.emit(
                        BuildWarning(item.title, f"could not find out whether {item.uri} exists: {verdict.reason}")
                    )
                # The same identifier for the same platforms is the same image, whatever it is called.
                self.builds.setdefault(item.identity.identifier, []).append((number, item))

    def _build_unknown(self, item: Identified, verdict: Unknown) -> bool:
        """Whether to build what could not be asked about: the user says so, or the registry takes uploads all the same.

        Some registries refuse to talk about repositories that do not exist yet. A dry run may not try an upload.
        """
        if self.options.build_unknown:
            return True
        may_try = verdict.denied and not self.options.dry_run
        return may_try and isinstance(self.output, Push) and self.output.may_push(item)

    def run(self) -> list[Result]:
        if self.options.dry_run:
            for wanted in self.builds.values():
                for number, item in wanted:
                    self.results[number] = replace(_result(item, None, built=False, seconds=0.0), would_build=True)
        elif self.builds:
            with self.engine.cache():
                self._build_all()
        return [self.results[number] for number in range(self.count)]

    def _build_all(self) -> None:
        secrets = self._secrets()
        requests = {}
        for identifier, wanted in self.builds.items():
            item = wanted[0][1]
            plan = self.engine.plan(item)
            requests[identifier] = BuildRequest(
                name=item.title,
                plan=plan,
                platforms=item.image.platforms,
                secrets={name: secrets[name] for name in needs(item.image)},
                site=self.engine.site,
                no_cache=self.options.no_cache,
                cache_from=self.options.cache_from,
                cache_to=self.options.cache_to,
                prefix=self.engine.prefix(item, plan, self.output),
                divide=partial(self.engine.prefix, item, plan, self.output),
                pins=item.pins,
                registry=self._registry(wanted),
            )
        with ThreadPoolExecutor(max(1, self.options.parallel), thread_name_prefix="build") as pool:
            futures: list[Future[None]] = [
                pool.submit(self._build, request, self.builds[identifier]) for identifier, request in requests.items()
            ]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                self._stop(futures)
                raise
            failures = [error for future in done if (error := future.exception()) is not None]
            if failures:
                interrupted = self.cancel.is_set()
                self._stop(futures)
                # Of several, the one that is why, not those that were told to stop for it.
                raise next(
                    (error for error in failures if isinstance(error, KeyboardInterrupt) == interrupted), failures[0]
                )

    def _registry(self, wanted: list[tuple[int, Identified]]) -> str | None:
        """The one registry that an image goes to, if it is one."""
        names = {item.reference.registry for _, item in wanted} if isinstance(self.output, Push) else set()
        return names.pop() if len(names) == 1 else None

    def _secrets(self) -> dict[str, str]:
        """The values that all builds need, looked up before any begins."""
        values: dict[str, str] = {}
        missing: list[SecretError] = []
        for wanted in self.builds.values():
            item = wanted[0][1]
            try:
                values |= self.engine.vault.values(needs(item.image))
            except SecretError as error:
                missing.append(SecretError(f"{item.title}: {error.message}", hint=error.hint))
        if missing:
            raise SecretError("; ".join(error.message for error in missing), hint=missing[0].hint)
        return values

    def _stop(self, futures: list[Future[None]]) -> None:
        self.cancel.set()
        for future in futures:
            future.cancel()

    def _build(self, request: BuildRequest, wanted: list[tuple[int, Identified]]) -> None:
        began = time.monotonic()
        self._check_cancel()
        with self._early(wanted[0][1]) as made:
            built = self.engine.builder.build(replace(request, made=made), self.emit, self.cancel)
            published: dict[str, Published] = {}
            for number, item in wanted:
                if item.uri not in published:
                    published[item.uri] = self.publish(item, built)
                self.done(number, item, published[item.uri], built=True, seconds=time.monotonic() - began)

    @contextmanager
    def _early(self, item: Identified) -> Iterator[Callable[[ContentStore, Descriptor], None] | None]:
        """Where layers of an image may go before it is whole."""
        if isinstance(self.output, Push):
            with self.output.early(item) as early:
                yield early.add
        else:
            yield None

    def _check_cancel(self) -> None:
        if self.cancel.is_set():
            raise KeyboardInterrupt

    def publish(self, item: Identified, built: Built) -> Published:
        def moved(name: str, current: int, total: int) -> None:
            self._check_cancel()
            self.emit(Progress(item.title, name, name, current, total))

        self._check_cancel()
        return self.output.publish(item, built, moved)

    def done(self, number: int, item: Identified, published: Published, *, built: bool, seconds: float) -> None:
        self.results[number] = replace(
            _result(item, published, built=built, seconds=seconds),
            pushed=built and isinstance(self.output, Push) and self.output.fills,
            bytes_uploaded=published.bytes_uploaded,
        )
        result = self.results[number]
        self.emit(Finished(item.title, result.uri, result.digest, built, result.pushed, seconds))


def _result(item: Identified, published: Published | None, *, built: bool, seconds: float) -> Result:
    return Result(
        name=item.title,
        uri=item.uri,
        identifier=item.identity.identifier,
        digest=published.digest if published else None,
        platforms=published.platforms if published else tuple(map(str, item.image.platforms)),
        built=built,
        pushed=False,
        bytes_uploaded=0,
        seconds=seconds,
    )
