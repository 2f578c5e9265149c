"""Wheels of packages that have none: built in BuildKit on the image they are for, once for one content."""

from __future__ import annotations

import hashlib
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.builders.buildx import SOURCE_DATE_EPOCH
from imagebuilder.builders.direct.built_wheels import BuiltWheels, wheel_key
from imagebuilder.builders.wheels import StageBase
from imagebuilder.cache.kinds import BUILT, WHEELS
from imagebuilder.errors import BuildError
from imagebuilder.layers.wheel import normalize
from imagebuilder.packages import Fetcher, LockedFile, Logins, WheelStore
from imagebuilder.packages.arguments import CUTOFF, build_arguments, index_arguments
from imagebuilder.packages.choose import wheel_name
from imagebuilder.plan.ops import InstallPackages
from imagebuilder.plan.pip import pip_arguments
from imagebuilder.plan.wheels import WheelSource, WheelStep, installing, wheel_step
from imagebuilder.registry import Descriptor
from imagebuilder.sources.material import Material, Original
from imagebuilder.sources.snapshot import File

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.builders.wheels import WheelStage
    from imagebuilder.packages import LockedPackage, PythonTarget
    from imagebuilder.plan.ops import Exec, Plan
    from imagebuilder.registry import RegistrySettings
    from imagebuilder.spec.credential import Index
    from imagebuilder.spec.platform import Platform

# What says which packages are installed, and nothing about how one is built.
_LOCKS = ("uv.lock", "poetry.lock", "pylock.toml")
_LOCAL = re.compile(r"local-\d+\Z")  # see sources.tree.Locals: such a project stands for itself


@dataclass(frozen=True)
class Sdists:
    """What it takes to build wheels for one platform of one image.

    `tools` is a time (RFC 3339) that nothing is newer than of what build backends ask indexes for, where that is fixed.
    """

    cache_dir: Path
    settings: RegistrySettings
    stage: WheelStage
    base: Base
    plan: Plan
    request: BuildRequest
    platform: Platform
    emit: Emit
    cancel: threading.Event
    tools: str = ""

    def wheels(
        self, packages: Sequence[LockedPackage], target: PythonTarget, python: str, logins: Iterable[Index]
    ) -> list[LockedFile]:
        """A wheel for each package, in their order; `python` is the interpreter's path.

        Raises:
            BuildError: one cannot be built; the message names its layer.
            BuilderUnavailableError: no BuildKit answers.
            RegistryError: an index did not answer.
        """
        memory, store = BuiltWheels(BUILT.at(self.cache_dir)), WheelStore(WHEELS.at(self.cache_dir))
        keys = [self._key(package, target, python) for package in packages]
        known = zip(keys, self.known(packages, target, python), strict=True)
        found = {key: wheel for key, wheel in known if wheel is not None}
        missing = {key: one for key, one in zip(keys, packages, strict=True) if key not in found}
        if missing:
            made = self._build(list(missing.values()), python, self._fetched(list(missing.values()), logins), store)
            for (key, package), wheel in zip(missing.items(), made, strict=True):
                self._check(package, wheel, target)
                memory.remember(key, wheel)
                found[key] = wheel
        return [found[key] for key in keys]

    def known(self, packages: Sequence[LockedPackage], target: PythonTarget, python: str) -> list[LockedFile | None]:
        """The wheels that were built before and are on this disk."""
        if self.request.no_cache:
            return [None] * len(packages)
        memory, store = BuiltWheels(BUILT.at(self.cache_dir)), WheelStore(WHEELS.at(self.cache_dir))
        found = (memory.recall(self._key(package, target, python)) for package in packages)
        return [wheel if wheel is not None and store.find(wheel) is not None else None for wheel in found]

    def _build(
        self, packages: list[LockedPackage], python: str, sdists: dict[str, Path], store: WheelStore
    ) -> list[LockedFile]:
        steps, materials = [], {}
        for number, package in enumerate(packages, 1):
            files = f"wheel-{number}"
            step, material = self._step(package, python, sdists, files)
            steps.append(step)
            if material is not None:
                materials[files] = material
        with self.stage.built(
            self._stage_base(), steps, materials, self.request, self.platform, emit=self.emit, cancel=self.cancel
        ) as paths:
            return [_kept(path, store) for path in paths]

    def _step(
        self, package: LockedPackage, python: str, sdists: dict[str, Path], files: str
    ) -> tuple[WheelStep, Material | None]:
        install = installing(self.plan, package.layer)
        material: Material | None = None
        match package.source:
            case "directory":
                material = _material(install)
                source = WheelSource(posixpath.join(package.place or "", package.subdirectory))
            case "vcs":
                repository, _, commit = package.origin.partition("+")[2].rpartition("@")
                source = WheelSource(package.subdirectory, repository=repository, commit=commit)
            case _:
                assert package.sdist is not None
                path, name = sdists[package.sdist.sha256], package.sdist.name
                file = File(name, False, path.stat().st_size, package.sdist.sha256)  # noqa: FBT003 - a row of a table
                material = Material(((name, Original(file, str(path))),))
                source = WheelSource(package.subdirectory, archive=name)
        step = wheel_step(
            install,
            str(package) if package.name else package.place or "a project",
            source,
            files if material is not None else None,
            python=python,
            arguments=self._arguments(install),
            date=SOURCE_DATE_EPOCH,
        )
        return WheelStep(package.layer, step), material

    def _fetched(self, packages: list[LockedPackage], logins: Iterable[Index]) -> dict[str, Path]:
        """Source distributions, by their SHA-256, verified."""
        files = [package.sdist for package in packages if package.sdist is not None]
        if not files:
            return {}
        with Fetcher(WheelStore(WHEELS.at(self.cache_dir)), self.settings, Logins(logins)) as fetcher:
            paths = fetcher.fetch(files, check=self._check_cancel)
        return {file.sha256: path for file, path in zip(files, paths, strict=True)}

    def _check_cancel(self) -> None:
        if self.cancel.is_set():
            raise KeyboardInterrupt

    def _key(self, package: LockedPackage, target: PythonTarget, python: str) -> str:
        install = installing(self.plan, package.layer)
        match package.source:
            case "directory":
                content = project_digest(_material(install) or Material(), package.place or "")
            case "vcs":
                content = package.origin
            case _:
                content = package.sdist.sha256 if package.sdist else ""
        place = package.place or ""
        fixed = (package.source, content, place, package.subdirectory, self.base.manifest.digest, str(self.platform))
        config = str(dict(install.values)["no_config"])
        return wheel_key((*fixed, target.full_version, python, config, *self._arguments(install)))

    def _arguments(self, install: Exec) -> tuple[str, ...]:
        """The indexes that a layer names, for what its build backends need, and of when that may be."""
        step = next(op for op in install.files_only if isinstance(op, InstallPackages))
        found = (*build_arguments(pip_arguments(step.what.options)), *index_arguments(step.material))
        return (*found, CUTOFF, self.tools) if self.tools and CUTOFF not in found else found

    def _stage_base(self) -> StageBase:
        manifest = self.base.manifest
        if self.base.reference is not None:
            return StageBase(reference=str(self.base.reference.with_digest(manifest.digest)))
        return StageBase(manifest=Descriptor(manifest.media_type, manifest.digest, len(manifest.raw)))

    def _check(self, package: LockedPackage, wheel: LockedFile, target: PythonTarget) -> None:
        try:
            _, tags = wheel_name(wheel.name, package.name or normalize(wheel.name.partition("-")[0]))
        except ValueError as error:
            raise BuildError(f"{self.request.name}: the build of {package} {error}") from None
        if not any(tag in target.ranks for tag in tags):
            raise BuildError(
                f"{self.request.name}: the build of {package} made {wheel.name}, which does not fit {target}"
            )


def project_digest(material: Material, place: str) -> str:
    """What of a layer's files decides the wheel of the project at `place`.

    That is all of them, since projects read beside and above themselves, but for locks; a project that was asked for
    by its path alone has no others.
    """
    first = place.partition("/")[0]
    pieces = [
        (at, piece.digest)
        for at, piece in material.pieces
        if (at.partition("/")[0] == first if _LOCAL.match(first) else not _is_lock(at, material.entry))
    ]
    return hashlib.sha256(repr(pieces).encode("utf-8", "surrogateescape")).hexdigest()


def _is_lock(at: str, entry: str) -> bool:
    return at == entry or posixpath.basename(at) in _LOCKS


def _material(install: Exec) -> Material | None:
    return next(op.material for op in install.files_only if isinstance(op, InstallPackages))


def _kept(path: Path, store: WheelStore) -> LockedFile:
    with path.open("rb") as file:
        data = hashlib.sha256()
        while piece := file.read(1 << 20):
            data.update(piece)
    wheel = LockedFile(path.name, data.hexdigest(), path.stat().st_size)

    def pieces() -> Iterable[bytes]:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                yield piece

    store.add(wheel, pieces(), str(path))
    return wheel
