"""What a plan's base and packages are right now, for a lock: asked and resolved.

Nothing is built but wheels of packages which only a build tells the needs of, and layers that such a build needs.
"""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from imagebuilder.builders.direct.base import Bases
from imagebuilder.builders.direct.base_memory import BaseMemory
from imagebuilder.builders.direct.facts import FactsMemory
from imagebuilder.builders.direct.interpreters import exact_interpreter, interpreter_for, no_bytecode, version_of
from imagebuilder.builders.direct.needed_builds import NeededBuilds
from imagebuilder.builders.direct.own_wheels import check_own
from imagebuilder.builders.direct.plan_python import prefix_of, python_steps
from imagebuilder.builders.direct.python import Environments
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.direct.sdists import Sdists
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.cache.kinds import BASES, FACTS
from imagebuilder.errors import BuildError, BuilderUnavailableError
from imagebuilder.lock.pins import Pins, PlatformPins
from imagebuilder.packages import NeedsBuild, PythonStep, choose, to_pins
from imagebuilder.packages.arguments import index_lines
from imagebuilder.plan.ops import Plan
from imagebuilder.plan.sdk import is_sdk
from imagebuilder.plan.segments import segments
from imagebuilder.spec.layers import PipPackages
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.builders.direct.missing import Builds
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.builders.wheels import WheelStage
    from imagebuilder.lock.pins import ImageLock
    from imagebuilder.packages import LockedFile, LockedPackage, PythonTarget
    from imagebuilder.registry import Client
    from imagebuilder.spec.credential import Index
    from imagebuilder.spec.platform import Platform

    Prefixes = Callable[[BuildRequest, Emit, threading.Event], list[Base]]
    Below = Callable[[int, Pins], BuildRequest | None]

_BACKEND: Final = "setuptools"  # which every index has that packages are built with
_NO_TIMES: Final = (
    "its index does not say when files were uploaded, so what builds it is of the day, and another machine may make "
    "another wheel; put a wheel of it into the index, or use with_wheels, and lock again"
)


class Pinner:
    """Pins plans; what bases hold is remembered under `cache_dir`.

    `stage` builds wheels, `prefixes` the prefix that a request has; without them nothing is built.
    """

    def __init__(
        self,
        cache_dir: Path,
        client: Client,
        environ: Mapping[str, str],
        stage: WheelStage | None = None,
        prefixes: Prefixes | None = None,
    ) -> None:
        self._cache_dir = cache_dir
        self._client = client
        self._environ = environ
        self._stage = stage
        self._prefixes = prefixes
        self._now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._bases = Bases(client, FactsMemory(FACTS.at(cache_dir)), BaseMemory(BASES.at(cache_dir)))
        self._environments = Environments(cache_dir, client.settings, environ)

    def pin(
        self,
        request: BuildRequest,
        before: ImageLock | None,
        preferences: Mapping[Platform, Mapping[str, str]],
        emit: Emit,
        below: Below = lambda _layer, _bases: None,
    ) -> Pins:
        """Pin a request's plan for its platforms.

        `before` is an entry whose interpreters are kept where this machine has them; `preferences` are versions that
        are kept as long as nothing speaks against them. `below` is a request for the layers before one, on pinned
        bases, None where nothing of them runs.

        Raises:
            BuildError: the base lacks a platform or a Python, or the requirements have no solution.
            RegistryError: a registry could not say.
            SourceError: a wheel of the user's cannot be installed.
        """
        plan = request.plan
        assert isinstance(plan, Plan)
        reference = Reference.parse(plan.base)
        digest = self._client.manifest(reference).digest
        bases = [self._bases.base(reference.with_digest(digest), platform) for platform in request.platforms]
        # The layers before one are built as ever: what they install is not pinned yet.
        alone = [
            PlatformPins(str(platform), base.manifest.digest, unpinned="it is being locked")
            for platform, base in zip(request.platforms, bases, strict=True)
        ]

        def prefix(layer: int) -> list[Base] | None:
            wanted = below(layer, Pins(digest, tuple(alone))) if self._prefixes else None
            return self._prefixes(wanted, emit, threading.Event()) if wanted and self._prefixes else None

        pinned = []
        for number, (platform, base) in enumerate(zip(request.platforms, bases, strict=True)):

            def own(layer: int, number: int = number) -> Base | None:
                found = prefix(layer)
                return None if found is None else found[number]

            versions = preferences.get(platform, {})
            pinned.append(
                self._platform(request, base, platform=platform, before=before, versions=versions, emit=emit, below=own)
            )
        return Pins(digest, tuple(sorted(pinned, key=lambda one: one.platform)))

    def _platform(
        self,
        request: BuildRequest,
        base: Base,
        *,
        platform: Platform,
        before: ImageLock | None,
        versions: Mapping[str, str],
        emit: Emit,
        below: Callable[[int], Base | None],
    ) -> PlatformPins:
        plan = request.plan
        assert isinstance(plan, Plan)
        name, digest = str(platform), base.manifest.digest
        steps = python_steps(plan)
        if not steps and not self._has_sdk(plan):
            return PlatformPins(name, digest)
        divided = segments(plan)
        facts = self._bases.facts(base)
        if not steps:
            return PlatformPins(name, digest, bytecode=self._of_sdk(request, facts, platform, before, emit))
        known = [one.tools for one in before.platforms if one.platform == name] if before else []
        tools = next(filter(None, known), self._now)
        builds = self._builds(request, base, platform, tools=tools, emit=emit, below=below)
        try:
            found, target = self._environments.resolve(request, facts, platform, versions, builds=builds)
        except (NotDirectError, BuilderUnavailableError) as error:
            return self._unpinned(request, name, digest, error.message, emit)
        except BuildError as error:
            if facts.interpreter is None and divided is not None and divided.prefix:  # a step brings it
                return self._unpinned(request, name, digest, error.message, emit)
            raise
        assembled = divided is not None and any(step.number > divided.prefix or not divided.prefix for step in steps)
        compiles = request.site.bytecode and (assembled or self._has_sdk(plan))
        bytecode = self._bytecode(request, target, before, name, emit) if compiles else ""
        packages = to_pins(found, steps, target)
        chosen = [(one, choose(one, target)) for one in found.brought]
        place, _ = self._environments.install_target(facts, prefix_of(plan))
        check_own((file for _, file in chosen if not isinstance(file, NeedsBuild)), place)
        built = [one for one, file in chosen if isinstance(file, NeedsBuild)]
        if not built or not self._tells_times(request, facts, platform, built, tools):
            for package in built:
                emit(Warning(request.name, f"{package} for {name} is pinned as its source alone: {_NO_TIMES}"))
            tools = ""
        return PlatformPins(name, digest, target.machine, bytecode, packages=packages, tools=tools)

    def _builds(
        self,
        request: BuildRequest,
        base: Base,
        platform: Platform,
        *,
        tools: str,
        emit: Emit,
        below: Callable[[int], Base | None],
    ) -> Builds | None:
        stage, plan = self._stage, request.plan
        if stage is None:
            return None
        assert isinstance(plan, Plan)

        def wheels(base: Base, packages: Sequence[LockedPackage], logins: Iterable[Index]) -> list[LockedFile]:
            sdists = Sdists(
                self._cache_dir, self._client.settings, stage, base, plan, request, platform,
                emit=emit, cancel=threading.Event(), tools=tools,
            )  # fmt: skip
            _, python, interpreter = self._environments.ground(plan, self._bases.facts(base), platform)
            return sdists.wheels(packages, python, interpreter, logins)

        return NeededBuilds(base, wheels, below)

    def _tells_times(
        self, request: BuildRequest, facts: BaseFacts, platform: Platform, built: Sequence[LockedPackage], tools: str
    ) -> bool:
        """Whether the indexes of these packages' layers say when files were uploaded, as uv wants it of a cutoff."""
        plan = request.plan
        assert isinstance(plan, Plan)
        layers = {package.layer for package in built}
        asked = [
            PythonStep(
                step.number, PipPackages((*index_lines(step.material), _BACKEND), step.what.options), step.material
            )
            for step in python_steps(plan)
            if step.number in layers
        ]
        try:
            self._environments.resolve(request, facts, platform, {}, steps=asked, cutoff=tools)
        except (NotDirectError, BuildError):
            return False
        return True

    @staticmethod
    def _has_sdk(plan: Plan) -> bool:
        return any(map(is_sdk, plan.steps))

    def _of_sdk(
        self, request: BuildRequest, facts: BaseFacts, platform: Platform, before: ImageLock | None, emit: Emit
    ) -> str:
        """The version that compiles the task SDK of an image without packages."""
        plan = request.plan
        assert isinstance(plan, Plan)
        try:
            _, target, _ = self._environments.ground(plan, facts, platform)
        except (NotDirectError, BuildError):  # a step brings its Python, or the build will say what it lacks
            return ""
        return self._bytecode(request, target, before, str(platform), emit) if request.site.bytecode else ""

    @staticmethod
    def _unpinned(request: BuildRequest, platform: str, digest: str, why: str, emit: Emit) -> PlatformPins:
        reason = why.removeprefix(f"{request.name}: ")
        emit(Warning(request.name, f"its packages for {platform} are not pinned, its base alone is: {reason}"))
        return PlatformPins(platform, digest, unpinned=reason)

    def _bytecode(
        self, request: BuildRequest, target: PythonTarget, before: ImageLock | None, platform: str, emit: Emit
    ) -> str:
        """The version that is to compile: the one of before, the base's own, or what this machine has."""
        known = [one.bytecode for one in before.platforms if one.platform == platform] if before else []
        wanted = [version for version in (*known, target.full_version) if version.startswith(f"{target.python}.")]
        for version in wanted:
            if exact_interpreter(version, self._environ):
                return version
        interpreter = interpreter_for(target.minor, self._environ)
        found = version_of(interpreter) if interpreter else None
        if found is None:
            emit(Warning(request.name, no_bytecode(target.minor)))
        return found or ""
