"""One layer being resolved, as its build step would, or read from what it was locked to."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.errors import SourceError
from imagebuilder.packages.arguments import REQUIRE_HASHES, UntranslatableError, compile_arguments, export_arguments
from imagebuilder.packages.asking import IN, OUT, Asking
from imagebuilder.packages.locked import LockedPackage
from imagebuilder.packages.logins import logins_of
from imagebuilder.packages.places import Places
from imagebuilder.packages.pylock import parse, render, select
from imagebuilder.packages.requirement_hashes import AllowedHashes, allowed_hashes
from imagebuilder.packages.resolution_cache import resolution_key
from imagebuilder.packages.script_lock import lowest_python
from imagebuilder.packages.staging import placed, write_material
from imagebuilder.packages.uv import indexes_of
from imagebuilder.plan.pip import pip_arguments
from imagebuilder.sources.material import Material, Text
from imagebuilder.spec.base import ScriptBase
from imagebuilder.spec.layers import (
    PipOptions,
    PipPackages,
    PoetryProject,
    PyLock,
    Requirements,
    UvProject,
    Wheels,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from imagebuilder.packages.python_step import PythonStep
    from imagebuilder.packages.resolve import Resolver
    from imagebuilder.packages.unbuilt import CoreMetadata
    from imagebuilder.spec.credential import Index

_EARLIER: Final = "earlier-wheels"
_NOTHING: Final = Material()


@dataclass
class Job:
    """One layer being resolved."""

    resolver: Resolver
    step: PythonStep
    have: Mapping[str, LockedPackage]
    installed: Mapping[str, str]
    known: dict[str, CoreMetadata]

    def __post_init__(self) -> None:
        resolver, step = self.resolver, self.step
        self._ask = Asking(
            resolver.uv,
            resolver.target,
            step.number,
            step.title,
            step.what.options.indexes,
            step.material or _NOTHING,
            self.have,
            self.known,
            resolver.build,
            resolver.cutoff,
        )

    @property
    def logins(self) -> tuple[Index, ...]:
        """The indexes of the layer whose credentials are known."""
        return self._ask.logins

    def packages(self) -> Iterator[LockedPackage]:
        """What it installs, beside what earlier layers and the base have.

        Raises:
            UntranslatableError: only an installer in the image can tell.
            ImageBuilderError: as `Resolver.resolve`.
        """
        what, material = self.step.what, self.step.material or _NOTHING
        self.read_secrets(what.options, material)
        match what:
            case PipPackages(packages):
                found = self._compile("\n".join(packages), material, AllowedHashes())
            case Wheels():
                found = self._compile("\n".join(f"./{at}" for at, _ in material.pieces), material, AllowedHashes())
            case Requirements():
                required = REQUIRE_HASHES in what.options.extra_args
                found = self._compile(f"-r {material.entry}", material, allowed_hashes(material, required=required))
            case UvProject():
                found = self._export(what, material)
            case ScriptBase():
                found = self._script(material)
            case PyLock():
                found = self._lock(material)
            case PoetryProject():
                raise UntranslatableError("Poetry itself installs it")
        for package in found:
            if not self._is_in_base(package):
                kept = package is self.have.get(package.name)
                yield package if kept else placed(package, material, self.step.number, self.step.title)

    # -- the kinds of layers -----------------------------------------------------------------------------------------

    def _compile(self, requirements: str, material: Material, hashes: AllowedHashes) -> tuple[LockedPackage, ...]:
        target = self.resolver.target
        if target.uv_platform is None:
            raise UntranslatableError(f"uv does not resolve for {target}")
        options = compile_arguments(pip_arguments(self.step.what.options))
        options += ("--python-version", self._python(), "--python-platform", target.uv_platform)
        wheels = {file.name: file for one in self.have.values() for file in one.wheels if file.location}
        preferred = {
            **self.resolver.preferences,
            **self.installed,
            **{one.name: one.version for one in self.have.values() if one.version},
        }
        key = (
            "compile",
            requirements,
            *options,
            "wheels",
            *(file.sha256 for file in wheels.values()),
            "preferred",
            *(f"{name}=={version}" for name, version in sorted(preferred.items())),
        )

        def run(folder: Path) -> tuple[LockedPackage, ...]:
            write_material(material, folder)
            (folder / IN).write_text(f"{requirements}\n")
            (folder / OUT).write_text(render(LockedPackage(n, v, "index") for n, v in sorted(preferred.items())))
            links: tuple[str, ...] = ()
            if wheels:
                (folder / _EARLIER).mkdir()
                for file in wheels.values():
                    (folder / _EARLIER / file.name).symlink_to(file.location or "")
                links = ("--find-links", f"./{_EARLIER}")
            self._ask.run(("pip", "compile", "--no-header", *options, *links, "--output-file", OUT, IN), folder)
            found = self._ask.read(folder / OUT, Places("", str(folder)))
            return tuple(hashes.keep(package, self.step.title) for package in found)

        return tuple(map(self._as_before, self._remembered(key, material, run)))

    def _export(self, project: UvProject, material: Material) -> tuple[LockedPackage, ...]:
        own = () if project.project_install_mode == "install_project" else ("--no-emit-project",)
        options = ("--no-default-groups", "--no-editable", *own)
        options += export_arguments(pip_arguments(project.options))

        def run(folder: Path) -> tuple[LockedPackage, ...]:
            write_material(material, folder, folders=False)
            entry = folder / material.entry
            self._ask.run(("export", "--frozen", "--no-header", *options, "--output-file", OUT), folder, entry)
            return self._ask.read(entry / OUT, Places(material.entry, str(folder)))

        return self._remembered(("export", *options), material, run, forever=True)

    def _script(self, material: Material) -> tuple[LockedPackage, ...]:
        """Lock as `uv lock` does, which would need an interpreter that the script's `requires-python` admits."""
        text = _text_at(material, "pyproject.toml")
        options = compile_arguments(pip_arguments(self.step.what.options))
        options += ("--universal", "--python-version", lowest_python(text, self.resolver.target))
        preferred = sorted(self.resolver.preferences.items())

        def run(folder: Path) -> tuple[LockedPackage, ...]:
            write_material(material, folder)
            if preferred:
                (folder / OUT).write_text(render(LockedPackage(n, v, "index") for n, v in preferred))
            arguments = ("pip", "compile", "--no-header", *options, "--output-file", OUT, "pyproject.toml")
            self._ask.run(arguments, folder, folder)
            return self._ask.read(folder / OUT, Places("", str(folder)))

        return self._remembered(("script", *options, *map("==".join, preferred)), material, run)

    def _lock(self, material: Material) -> tuple[LockedPackage, ...]:
        if [word for word in compile_arguments(self.step.what.options.extra_args) if word != "--no-deps"]:
            raise UntranslatableError("extra_args choose from its lock what only uv in the image does")
        where = self.step.title
        return select(parse(_text_at(material, material.entry), where), self.resolver.target, where)

    # -- the parts of it ---------------------------------------------------------------------------------------------

    def read_secrets(self, options: PipOptions, material: Material) -> None:
        """Learn the credentials of its indexes.

        Raises:
            UntranslatableError: one is a file of the image.
            SecretError: one has no value.
        """
        for secret in options.secret_mounts:
            if secret.variable is None:
                raise UntranslatableError(f"the secret {secret.key} is mounted as a file of the image")
            if self.resolver.secret_value is not None:
                self._ask.variables[secret.variable] = self.resolver.secret_value(secret)
        self._ask.logins = tuple(logins_of(options, material, self._ask.variables))

    def _python(self) -> str:
        return ".".join(map(str, self.resolver.target.version))

    def _remembered(
        self,
        key: Sequence[str],
        material: Material,
        run: Callable[[Path], tuple[LockedPackage, ...]],
        *,
        forever: bool = False,
    ) -> tuple[LockedPackage, ...]:
        resolver, target = self.resolver, self.resolver.target
        urls = [index.url for index in indexes_of(resolver.uv.site)]
        parts = (*key, "target", str(target), target.full_version, material.digest, resolver.cutoff or "", *urls)
        digest = resolution_key(parts)
        if resolver.cache and (text := resolver.cache.get(digest, forever=forever)):
            with contextlib.suppress(SourceError):
                return parse(text, "a remembered resolution").packages
        with tempfile.TemporaryDirectory(dir=resolver.temporary, prefix="resolve-") as folder:
            found = run(Path(folder).resolve())
        if resolver.cache:
            resolver.cache.put(digest, render(found))
        return found

    def _as_before(self, package: LockedPackage) -> LockedPackage:
        """What an earlier layer brought from elsewhere stays as it is, and is never taken from an index instead.

        An index may have another package of the same name, which an installer would not even look at.
        """
        before = self.have.get(package.name)
        if before is None or package.source != "index":
            return package
        seen = any(file.location for file in before.wheels)  # uv had it before its eyes
        if (before.source == "index" and not seen) or (seen and before.version != package.version):
            return package
        if package.wheels and {file.sha256 for file in package.wheels} <= {file.sha256 for file in before.wheels}:
            return before
        raise UntranslatableError(f"it needs {package.name}, which an earlier layer brings from elsewhere")

    def _is_in_base(self, package: LockedPackage) -> bool:
        return package.name not in self.have and self.installed.get(package.name) == package.version is not None


def _text_at(material: Material, place: str) -> str:
    return next(piece.data.decode() for at, piece in material.pieces if at == place and isinstance(piece, Text))
