"""What a plan's base and packages are right now, for a lock: asked, resolved, and nothing built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.builders.direct.base import Bases
from imagebuilder.builders.direct.base_memory import BaseMemory
from imagebuilder.builders.direct.facts import FactsMemory
from imagebuilder.builders.direct.interpreters import exact_interpreter, interpreter_for, no_bytecode, version_of
from imagebuilder.builders.direct.python import Environments, python_steps
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.cache.kinds import BASES, FACTS
from imagebuilder.errors import BuildError
from imagebuilder.lock.pins import Pins, PlatformPins
from imagebuilder.packages import to_pins
from imagebuilder.plan.ops import Plan
from imagebuilder.plan.segments import segments
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.lock.pins import ImageLock
    from imagebuilder.packages import PythonTarget
    from imagebuilder.registry import Client
    from imagebuilder.spec.platform import Platform


class Pinner:
    """Pins plans; what bases hold is remembered under `cache_dir`."""

    def __init__(self, cache_dir: Path, client: Client, environ: Mapping[str, str]) -> None:
        self._client = client
        self._environ = environ
        self._bases = Bases(client, FactsMemory(FACTS.at(cache_dir)), BaseMemory(BASES.at(cache_dir)))
        self._environments = Environments(cache_dir, client.settings, environ)

    def pin(
        self,
        request: BuildRequest,
        before: ImageLock | None,
        preferences: Mapping[Platform, Mapping[str, str]],
        emit: Emit,
    ) -> Pins:
        """Pin a request's plan for its platforms.

        `before` is an entry whose interpreters are kept where this machine has them; `preferences` are versions that
        are kept as long as nothing speaks against them.

        Raises:
            BuildError: the base lacks a platform or a Python, or the requirements have no solution.
            RegistryError: a registry could not say.
        """
        plan = request.plan
        assert isinstance(plan, Plan)
        reference = Reference.parse(plan.base)
        digest = self._client.manifest(reference).digest
        pinned = []
        for platform in request.platforms:
            base = self._bases.base(reference.with_digest(digest), platform)
            versions = preferences.get(platform, {})
            pinned.append(self._platform(request, base, platform=platform, before=before, versions=versions, emit=emit))
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
    ) -> PlatformPins:
        plan = request.plan
        assert isinstance(plan, Plan)
        name, digest = str(platform), base.manifest.digest
        steps = python_steps(plan)
        if not steps:
            return PlatformPins(name, digest)
        divided = segments(plan)
        facts = self._bases.facts(base)
        try:
            found, target = self._environments.resolve(request, facts, platform, versions)
        except NotDirectError as error:
            return self._unpinned(request, name, digest, error.message, emit)
        except BuildError as error:
            if facts.interpreter is None and divided is not None and divided.prefix:  # a step brings it
                return self._unpinned(request, name, digest, error.message, emit)
            raise
        assembled = (
            request.site.bytecode
            and divided is not None
            and any(step.number > divided.prefix or not divided.prefix for step in steps)
        )
        bytecode = self._bytecode(request, target, before, name, emit) if assembled else ""
        return PlatformPins(name, digest, target.machine, bytecode, packages=to_pins(found, steps, target))

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
