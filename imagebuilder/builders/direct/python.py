"""The Python environment of an image: what its layers install, resolved, fetched and made into layers."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.builders.events import Progress
from imagebuilder.builders.workspace import workspace
from imagebuilder.errors import SpecError, WorkError
from imagebuilder.layers import (
    Compiler,
    InstallTarget,
    Layer,
    LayerCache,
    WheelFile,
    assemble,
    assemble_bytecode,
)
from imagebuilder.layers import Plan as LayerPlan
from imagebuilder.layers.packing import LAYER_LIMIT
from imagebuilder.packages import (
    Fetcher,
    Logins,
    NeedsBuild,
    NeedsInstaller,
    PythonStep,
    PythonTarget,
    ResolutionCache,
    Resolver,
    Uv,
    WheelStore,
    choose,
)
from imagebuilder.plan.ops import Exec, InstallPackages
from imagebuilder.plan.secrets import secret_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.packages import LockedFile, Resolution
    from imagebuilder.plan.ops import Plan
    from imagebuilder.registry import RegistrySettings
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.secret import Secret


class NotDirectError(WorkError):
    """An image cannot be assembled from files alone; another builder can make it."""


@dataclass(frozen=True)
class Installed:
    """The layers of an environment, and what people should know about them."""

    layers: list[Layer]
    warnings: tuple[str, ...] = ()


class Environments:
    """Makes environments; resolutions, wheels, layers and bytecode are kept under `cache_dir`."""

    def __init__(self, cache_dir: Path, settings: RegistrySettings, environ: Mapping[str, str]) -> None:
        self._cache_dir = cache_dir
        self._settings = settings
        self._environ = environ

    def install_target(self, facts: BaseFacts, prefix: str) -> InstallTarget:
        """Where packages go on a base.

        Raises:
            SpecError: the base has no Python.
        """
        if facts.interpreter is None:
            raise SpecError(
                "the base image has no Python, so Python packages cannot be installed",
                hint='start from one that has, or add it with with_apt_packages("python3")',
            )
        return InstallTarget(prefix=prefix, python=facts.interpreter.version, interpreter=facts.interpreter.path)

    def install(
        self, plan: Plan, request: BuildRequest, platform: Platform, facts: BaseFacts, emit: Emit, *, room: int
    ) -> Installed:
        """Every Python layer of a plan, resolved together in their order; `room` is for how many other layers.

        Raises:
            NotDirectError: a package has no wheel, or only an installer can tell what a layer installs.
            BuildError: the requirements have no solution, or the index did not answer.
        """
        steps = _python_steps(plan)
        target = self.install_target(facts, _prefix(plan))
        assert facts.interpreter is not None
        python = PythonTarget(facts.interpreter.full_version, platform, glibc=facts.glibc, musl=facts.musl)
        resolution = self._resolve(steps, python, request)
        files = _wheels(resolution, python)
        paths = self._fetch(resolution, files, request, emit)
        wheels = [WheelFile(path, sha256=file.sha256) for path, file in zip(paths, files, strict=True)]
        cache = LayerCache(self._cache_dir / "layers")
        budget = (LAYER_LIMIT - room) // 2  # as much again for bytecode
        layer_plan = LayerPlan.of(wheels, target, budget=budget)
        layers = assemble(wheels, target, self._cache_dir, plan=layer_plan, cache=cache)
        interpreter = interpreter_for(target.python)
        if interpreter is None:
            major, minor = target.python
            text = f"no Python {major}.{minor} is on this machine to compile bytecode with: imports will be slower"
            return Installed(layers, (text,))
        compiler = Compiler(interpreter, self._cache_dir / "bytecode")
        bytecode = assemble_bytecode(layer_plan, target, self._cache_dir, compiler, cache=cache)
        return Installed([*layers, *bytecode])

    def _resolve(self, steps: list[PythonStep], python: PythonTarget, request: BuildRequest) -> Resolution:
        def value(secret: Secret) -> str:
            return request.secrets[secret_id(secret)]

        cache = None if request.no_cache else ResolutionCache(self._cache_dir / "resolutions")
        uv = Uv(self._environ, request.site)
        with workspace(self._cache_dir / "work") as temporary:
            found = Resolver(python, uv, cache, secret_value=value, temporary=temporary).resolve(steps)
        if isinstance(found, NeedsInstaller):
            raise NotDirectError(str(found))
        return found

    def _fetch(
        self, resolution: Resolution, files: list[LockedFile], request: BuildRequest, emit: Emit
    ) -> tuple[Path, ...]:
        total = sum(file.size or 0 for file in files) or None
        arrived = 0

        def progress(count: int) -> None:
            nonlocal arrived
            arrived += count
            emit(Progress(request.name, "fetch", "fetch wheels", arrived, total))

        fetcher = Fetcher(WheelStore(self._cache_dir / "wheels"), self._settings, Logins(resolution.logins))
        try:
            return fetcher.fetch(files, progress)
        finally:
            fetcher.close()


def _python_steps(plan: Plan) -> list[PythonStep]:
    return [
        PythonStep(step.layer, op.what, op.material)
        for step in plan.steps
        if isinstance(step.op, Exec)
        for op in step.op.files_only
        if isinstance(op, InstallPackages)
    ]


def _prefix(plan: Plan) -> str:
    values = (dict(step.op.values) for step in plan.steps if isinstance(step.op, Exec))
    return next(str(found["venv"]) for found in values if "venv" in found)


def _wheels(resolution: Resolution, python: PythonTarget) -> list[LockedFile]:
    chosen = [choose(package, python) for package in resolution.packages]
    missing = [str(found) for found in chosen if isinstance(found, NeedsBuild)]
    if missing:
        raise NotDirectError("; ".join(missing))
    return [found for found in chosen if not isinstance(found, NeedsBuild)]


def interpreter_for(version: tuple[int, int]) -> str | None:
    """An interpreter of a minor version on this machine, to compile bytecode with."""
    if sys.version_info[:2] == version:
        return sys.executable
    return shutil.which(f"python{version[0]}.{version[1]}")
