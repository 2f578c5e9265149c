"""What one layer asks uv, and how uv is told of packages that it would have built to know what they need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from imagebuilder.errors import SourceError
from imagebuilder.packages.arguments import UntranslatableError, index_lines
from imagebuilder.packages.locked import LockedPackage
from imagebuilder.packages.places import Places
from imagebuilder.packages.pylock import parse, select
from imagebuilder.packages.staging import placed
from imagebuilder.packages.unbuilt import CoreMetadata, Unbuilt, named_stub, settings_of, unbuilt
from imagebuilder.packages.uv import Uv, indexes_of
from imagebuilder.spec.credential import Index, has_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from imagebuilder.packages.target import PythonTarget
    from imagebuilder.packages.uv import UvFailure
    from imagebuilder.sources.material import Material

OUT: Final = "pylock.imagebuilder.toml"
IN: Final = "imagebuilder-requirements.in"
_SETTINGS: Final = "imagebuilder-uv.toml"
_ONE: Final = "one"  # for a package that is asked for alone


@dataclass
class Asking:
    """One layer's questions; `known` is what was learned, `have` what earlier layers brought."""

    uv: Uv
    target: PythonTarget
    layer: int
    title: str
    indexes: tuple[Index, ...]
    material: Material
    have: Mapping[str, LockedPackage]
    known: dict[str, CoreMetadata]
    build: Callable[[LockedPackage, Sequence[Index]], Path] | None = None
    cutoff: str | None = None
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    logins: tuple[Index, ...] = field(default=(), repr=False)

    def run(self, arguments: tuple[str, ...], folder: Path, project: Path | None = None) -> None:
        """Have uv write its answer in a folder, where the layer's files are; `project` is one whose settings it reads.

        Raises:
            UntranslatableError: something must be built first, and nobody can.
            BuildError: there is no solution, or no answer.
        """
        while (failure := self._failure(arguments, folder, project, self.known.values())) is not None:
            needed = unbuilt(failure.text, folder)
            if needed is not None:
                if project is None and self._learn(needed, arguments, folder):
                    continue
                raise UntranslatableError(f"{needed} must be built to learn what it needs")
            for name, package in self.have.items():
                if package.source != "index" and name in failure.text:
                    raise UntranslatableError(f"it needs {name}, which an earlier layer brings from elsewhere")
            raise failure.error(self.title)

    def _failure(
        self, arguments: Sequence[str], folder: Path, project: Path | None, known: Iterable[CoreMetadata]
    ) -> UvFailure | None:
        variables = dict(self.variables)
        if self.cutoff and "--exclude-newer" not in arguments:
            variables["UV_EXCLUDE_NEWER"] = self.cutoff
        if known := list(known):
            (folder / _SETTINGS).write_text(settings_of(known))
            arguments = (*arguments, "--config-file", _SETTINGS)
        return self.uv.run(
            (*arguments, "--quiet", "--format", "pylock.toml"),
            project or folder,
            stage=folder,
            config=project is not None,
            indexes=self.indexes,
            variables=variables,
        )

    def _learn(self, needed: Unbuilt, arguments: tuple[str, ...], folder: Path) -> bool:
        """Have a package built that uv stopped at, so that it can be told what that needs; False where nobody can."""
        build, logins = self.build, (*indexes_of(self.uv.site), *self.logins)
        if build is None or needed.name in self.known:
            return False
        if needed.requirement is not None:
            package = self._alone(needed.requirement, arguments, folder)
        elif needed.folder is not None:
            package = LockedPackage("", None, "directory", place=needed.folder, layer=self.layer)
        else:
            return False
        found = CoreMetadata.of(build(package, logins))
        self.known[found.name] = found
        if needed.folder is not None:
            with (folder / needed.folder / "pyproject.toml").open("a", encoding="utf-8") as file:
                file.write(named_stub(found.name))
        return True

    def _alone(self, requirement: str, arguments: tuple[str, ...], folder: Path) -> LockedPackage:
        """Where a package would come from, without what it needs."""
        name, _, version = requirement.partition(" @ ")[0].partition("==")
        lines = (*index_lines(self.material), requirement)
        (folder / f"{_ONE}.in").write_text("".join(f"{line}\n" for line in lines))
        out = f"pylock.{_ONE}.toml"
        words = tuple({OUT: out, IN: f"{_ONE}.in"}.get(word, word) for word in arguments)
        failure = self._failure((*words, "--no-deps"), folder, None, [CoreMetadata(name, version or "0")])
        if failure is not None:
            raise failure.error(self.title)
        (package,) = self.read(folder / out, Places("", str(folder)))
        return placed(package, self.material, self.layer, self.title)

    def read(self, path: Path, places: Places) -> tuple[LockedPackage, ...]:
        """What uv answered.

        Raises:
            UntranslatableError: it cannot be used.
        """
        text = path.read_text(encoding="utf-8")
        if has_credentials(text):
            raise UntranslatableError("the URL of one of its packages has credentials in it")
        try:
            lock = parse(text, "the resolution", places)
        except SourceError as error:
            raise UntranslatableError(error.message) from None
        return select(lock, self.target, self.title)
