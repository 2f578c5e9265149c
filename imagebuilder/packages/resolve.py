"""Which packages the Python layers of an image install, found without installing: the same as the build steps would.

Layers are resolved one after the other. What earlier ones fixed is preferred by later ones, and replaced where it
contradicts them, as `uv pip install` into an existing environment does: uv reads preferences from the lock file that
it is to write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from imagebuilder.packages.arguments import UntranslatableError
from imagebuilder.packages.job import Job
from imagebuilder.packages.locked import LockedPackage, NeedsInstaller, Resolution
from imagebuilder.packages.staging import placed
from imagebuilder.packages.uv import Uv, indexes_of
from imagebuilder.sources.material import Material

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from imagebuilder.packages.python_step import PythonStep
    from imagebuilder.packages.resolution_cache import ResolutionCache
    from imagebuilder.packages.target import PythonTarget
    from imagebuilder.packages.unbuilt import CoreMetadata
    from imagebuilder.spec.credential import Index
    from imagebuilder.spec.secret import Secret

_EARLIER: Final = "earlier-wheels"
_NOTHING: Final = Material()


@dataclass(frozen=True)
class Resolver:
    """Resolves for one target; `cutoff` is a date that no file may be newer than, as `--exclude-newer` takes it.

    `secret_value` gives the values of the secrets that layers ask for, `temporary` is where uv works. `preferences` are
    versions that are taken as long as nothing speaks against them. `build` makes a wheel of a package that only a build
    tells the needs of, with the credentials of some indexes.
    """

    target: PythonTarget
    uv: Uv
    cache: ResolutionCache | None = None
    cutoff: str | None = None
    secret_value: Callable[[Secret], str] | None = None
    temporary: Path | None = None
    preferences: Mapping[str, str] = field(default_factory=dict)
    build: Callable[[LockedPackage, Sequence[Index]], Path] | None = None

    def recall(
        self, steps: Sequence[PythonStep], pinned: Sequence[tuple[int, LockedPackage]]
    ) -> Resolution | NeedsInstaller:
        """A resolution that was made before, of packages by the number of their step from 1; nobody is asked.

        Raises:
            SourceError, SourceChangedError: a file of the user's is not there, or not the one that was pinned.
            SecretError: a secret has no value.
        """
        have: dict[str, LockedPackage] = {}
        logins: dict[Index, None] = {index: None for index in indexes_of(self.uv.site) if index.credential}
        for number, step in enumerate(steps, start=1):
            job = Job(self, step, have, {}, {})
            material = step.material or _NOTHING
            try:
                job.read_secrets(step.what.options, material)
            except UntranslatableError as error:
                return NeedsInstaller(step.number, step.title, str(error))
            logins |= dict.fromkeys(job.logins)
            own = (package for at, package in pinned if at == number)
            have |= {package.name: placed(package, material, step.number, step.title) for package in own}
        return Resolution(tuple(have[name] for name in sorted(have)), tuple(logins))

    def resolve(
        self, steps: Sequence[PythonStep], installed: Mapping[str, str] | None = None
    ) -> Resolution | NeedsInstaller:
        """Resolve all layers in their order; `installed` are the versions of what the base has and the steps see.

        Raises:
            BuildError: uv found no solution, or could not ask.
            SourceError: a lock is not one, or not meant for the target.
            SecretError: a secret has no value.
        """
        have: dict[str, LockedPackage] = {}
        brought: list[LockedPackage] = []
        known: dict[str, CoreMetadata] = {}
        logins: dict[Index, None] = {index: None for index in indexes_of(self.uv.site) if index.credential}
        for step in steps:
            job = Job(self, step, have, installed or {}, known)
            try:
                found = {package.name: package for package in job.packages()}
                brought += [package for name, package in found.items() if package is not have.get(name)]
                have |= found
            except UntranslatableError as error:
                return NeedsInstaller(step.number, step.title, str(error))
            logins |= dict.fromkeys(job.logins)
        return Resolution(tuple(have[name] for name in sorted(have)), tuple(logins), tuple(brought))
