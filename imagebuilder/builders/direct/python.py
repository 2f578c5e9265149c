"""The Python environment of an image: what its layers install, resolved, fetched and made into layers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.fetched import fetched
from imagebuilder.builders.direct.interpreters import compiler_for, no_bytecode
from imagebuilder.builders.direct.missing import wheels_of
from imagebuilder.builders.direct.plan_python import interpreter_of, prefix_of, python_steps, python_target
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.direct.stack import Stack
from imagebuilder.builders.workspace import workspace
from imagebuilder.cache.kinds import BYTECODE, RESOLUTIONS, TOOLS, WHEELS
from imagebuilder.layers import (
    InstallTarget,
    Layer,
    WheelFile,
)
from imagebuilder.layers.packing import BUCKETS, LAYER_LIMIT, MOST_ALONE
from imagebuilder.packages import (
    NeedsBuild,
    NeedsInstaller,
    PythonStep,
    PythonTarget,
    ResolutionCache,
    Resolver,
    Uv,
    WheelStore,
    choose,
    from_pins,
)
from imagebuilder.plan.ops import Plan
from imagebuilder.plan.secrets import secret_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.builders.direct.missing import Builds
    from imagebuilder.builders.direct.registry_map import RegistryMap
    from imagebuilder.builders.direct.sdists import Sdists
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.lock.pins import PlatformPins
    from imagebuilder.packages import LockedFile, LockedPackage, Resolution
    from imagebuilder.registry import ContentStore, RegistrySettings
    from imagebuilder.spec.credential import Index
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.secret import Secret

# Fewer where the base and the other steps leave less room; the same number means the same layers.
_MOST_LAYERS = BUCKETS + MOST_ALONE


@dataclass(frozen=True)
class Installed:
    """The layers of an environment, and what people should know about them.

    `shared` are stores of layers that a shared cache has, by their digest: these need not be on this machine.
    """

    layers: list[Layer]
    warnings: tuple[str, ...] = ()
    shared: Mapping[str, ContentStore] = field(default_factory=dict)


class Environments:
    """Makes environments; resolutions, wheels, layers and bytecode are kept under `cache_dir`."""

    def __init__(
        self,
        cache_dir: Path,
        settings: RegistrySettings,
        environ: Mapping[str, str],
        registry_map: RegistryMap | None = None,
    ) -> None:
        self._cache_dir = cache_dir
        self._map = registry_map
        self._settings = settings
        self._environ = environ

    def install_target(self, facts: BaseFacts, prefix: str) -> tuple[InstallTarget, str | None]:
        """Where packages go on a base, and its Python's full version where that is known.

        Raises:
            BuildError: the base has no Python.
            NotDirectError: only running its Python tells what it is.
        """
        found = interpreter_of(facts)
        there = facts.minor_of(f"{prefix}/bin/python") if f"{prefix.strip('/')}/bin" in facts.folders else None
        python = found.version if there is None else (3, there)
        full = ".".join(map(str, found.full_version)) if found.full_version[2] and python == found.version else None
        return InstallTarget(prefix=prefix, python=python, interpreter=found.path), full

    def install(
        self,
        plan: Plan,
        request: BuildRequest,
        facts: BaseFacts,
        *,
        platform: Platform,
        room: int,
        emit: Emit,
        check: Callable[[], None],
        sdists: Sdists | None = None,
    ) -> Installed:
        """Every Python layer of a plan, resolved together in their order; `room` is for how many other layers.

        `sdists` makes wheels of what has none.

        Raises:
            NotDirectError: a package has no wheel, or only an installer can tell what a layer installs.
            BuildError: the requirements have no solution, or a file is not there any more.
            RegistryError: an index did not answer.
        """
        target, python, interpreter = self.ground(plan, facts, platform)

        def build(packages: Sequence[LockedPackage], logins: Iterable[Index]) -> list[LockedFile]:
            assert sdists is not None
            return sdists.wheels(packages, python, interpreter, logins)

        builds = None if sdists is None else build
        resolution, chosen = self.chosen(plan, request, facts, platform, check=check, builds=builds)
        files = wheels_of(resolution, chosen, builds)
        check()
        if not files:
            return Installed([])
        work, warnings = self.stack(request, files, target, python, room=room, check=check)

        def fetch(wanted: list[LockedFile], arrived: Callable[[WheelFile], None] = lambda _: None) -> list[WheelFile]:
            return fetched(
                WheelStore(WHEELS.at(self._cache_dir)),
                self._settings,
                resolution,
                wanted,
                name=request.name,
                emit=emit,
                check=check,
                arrived=arrived,
            )

        layers = None if request.no_cache else work.known()
        mapped = None
        if self._map is not None and (layers is None or self._map.writable):
            from imagebuilder.builders.direct.mapped import MappedStack

            mapped = MappedStack(
                self._map, self._cache_dir, files, target,
                budget=work.budget, compiler=work.compiler, mounts=self._map.serves(request.registry), fetch=fetch,
                check=check,
            )  # fmt: skip
        if layers is None and mapped is not None and not request.no_cache:
            layers = mapped.layers()
        if layers is None:
            layers = work.make(lambda arrived: fetch(files, arrived))
        if mapped is None or self._map is None:
            return Installed(layers, warnings)
        if self._map.writable:
            mapped.fill()
        return Installed(layers, (*warnings, *mapped.warnings), mapped.sources())

    def ground(self, plan: Plan, facts: BaseFacts, platform: Platform) -> tuple[InstallTarget, PythonTarget, str]:
        """Where packages go, what they are chosen for, and the interpreter that builds what has no wheel."""
        target, _ = self.install_target(facts, prefix_of(plan))
        own = f"{target.prefix.strip('/')}/bin" in facts.folders
        interpreter = f"{target.prefix}/bin/python" if own else target.interpreter
        return target, python_target(facts, target, platform), interpreter

    def chosen(
        self,
        plan: Plan,
        request: BuildRequest,
        facts: BaseFacts,
        platform: Platform,
        *,
        check: Callable[[], None] = lambda: None,
        builds: Builds | None = None,
    ) -> tuple[Resolution, list[LockedFile | NeedsBuild]]:
        """Every package with the wheel that fits best, or why none does.

        Raises:
            ImageBuilderError: as `install` does.
        """
        target, _ = self.install_target(facts, prefix_of(plan))
        python = python_target(facts, target, platform)
        present = facts.installed(f"{target.prefix}/{target.site_packages}")
        pins = request.pins.of(platform) if request.pins else None
        resolution = self._resolve(python_steps(plan), python, request, present, check, builds=builds, pins=pins)
        replaced = [package for package in resolution.packages if package.name in present]
        if replaced:
            named = ", ".join(f"{package.name} {present[package.name]} by {package}" for package in replaced)
            last = max(package.layer for package in replaced)
            raise NotDirectError(f"what the base has installed must be replaced: {named}", layer=last)
        return resolution, [choose(package, python) for package in resolution.packages]

    def stack(
        self,
        request: BuildRequest,
        files: list[LockedFile],
        target: InstallTarget,
        python: PythonTarget,
        *,
        room: int,
        check: Callable[[], None] = lambda: None,
    ) -> tuple[Stack, tuple[str, ...]]:
        """What makes the layers of files, and what people should know of it.

        Raises:
            NotDirectError: there is no room for them.
        """
        budget = min(_MOST_LAYERS, (LAYER_LIMIT - room) // 2)  # as much again for bytecode
        if budget < 1:
            raise NotDirectError(f"{request.name}: the base and the steps leave no layer for packages")
        pins = request.pins.of(python.platform) if request.pins else None
        folder = BYTECODE.at(self._cache_dir)
        compiler = compiler_for(request, target, pins, folder, self._environ, own=python.full_version)
        warned = compiler is None and pins is None and request.site.bytecode
        work = Stack(self._cache_dir, files, target, budget=budget, compiler=compiler, check=check, made=request.made)
        return work, (no_bytecode(target.python),) if warned else ()

    def resolve(
        self,
        request: BuildRequest,
        facts: BaseFacts,
        platform: Platform,
        preferences: Mapping[str, str],
        *,
        steps: list[PythonStep] | None = None,
        builds: Builds | None = None,
        cutoff: str | None = None,
    ) -> tuple[Resolution, PythonTarget]:
        """What the Python layers of a request, or these steps, need on a base, asked anew.

        `preferences` are versions to stay with, `cutoff` is as for `Resolver`, `builds` makes wheels of what only a
        build tells the needs of.

        Raises:
            NotDirectError: only an installer can tell.
            BuildError: the requirements have no solution, or the base has no Python.
        """
        plan = request.plan
        assert isinstance(plan, Plan)
        target, _ = self.install_target(facts, prefix_of(plan))
        python = python_target(facts, target, platform)
        present = facts.installed(f"{target.prefix}/{target.site_packages}")
        anew = replace(request, no_cache=True)
        found = self._resolve(
            python_steps(plan) if steps is None else steps, python, anew, present, lambda: None,
            builds=builds, preferences=preferences, cutoff=cutoff,
        )  # fmt: skip
        return found, python

    def _resolve(
        self,
        steps: list[PythonStep],
        python: PythonTarget,
        request: BuildRequest,
        present: Mapping[str, str],
        check: Callable[[], None],
        *,
        builds: Builds | None = None,
        pins: PlatformPins | None = None,
        preferences: Mapping[str, str] | None = None,
        cutoff: str | None = None,
    ) -> Resolution:
        store = WheelStore(WHEELS.at(self._cache_dir))

        def built(package: LockedPackage, logins: Sequence[Index]) -> Path:
            assert builds is not None
            found = store.find(builds([package], logins)[0])
            assert found is not None
            return found

        def value(secret: Secret) -> str:
            return request.secrets[secret_id(secret)]

        cache = None if request.no_cache else ResolutionCache(RESOLUTIONS.at(self._cache_dir))
        uv = Uv(self._environ, request.site, check=check, tools=TOOLS.at(self._cache_dir))
        with workspace(self._cache_dir / "work") as temporary:
            resolver = Resolver(
                python,
                uv,
                cache,
                cutoff,
                secret_value=value if request.secrets else None,
                temporary=temporary,
                preferences=preferences or {},
                build=None if builds is None else built,
            )
            if pins is None or pins.unpinned:
                found = resolver.resolve(steps, present)
            else:
                found = resolver.recall(steps, from_pins(pins, f"{request.name}: its lock"))
        if isinstance(found, NeedsInstaller):
            raise NotDirectError(f"{request.name}: {found}", layer=found.layer)
        return found
