"""What a resolution says: which packages, and which files each of them is published as."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from imagebuilder.layers.layer_cache import install_key

if TYPE_CHECKING:
    from imagebuilder.spec.credential import Index

SourceKind: TypeAlias = Literal["index", "archive", "directory", "vcs"]


@dataclass(frozen=True)
class LockedFile:
    """A wheel or source distribution, at a `url` or at a `place` in the layer's material.

    `location` is where on this machine a file of the material is; `direct_url` is what installing it notes of where it
    came from.
    """

    name: str
    sha256: str
    size: int | None = None
    url: str | None = None
    place: str | None = None
    location: str | None = field(default=None, compare=False)
    direct_url: str = ""

    @property
    def key(self) -> str:
        """What layers made of it are known by."""
        return install_key(self.sha256, self.direct_url)


@dataclass(frozen=True)
class LockedPackage:
    """A package: its name normalized (PEP 503), its version None where only building it tells.

    `place` is the folder of a directory in the layer's material; `origin` is the URL and commit of a repository, and
    `revision` what was asked for there, such as a branch.
    `layer` is the number of the layer that it was resolved for, the base being 0.
    """

    name: str
    version: str | None
    source: SourceKind
    wheels: tuple[LockedFile, ...] = ()
    sdist: LockedFile | None = None
    place: str | None = None
    subdirectory: str = ""
    origin: str = ""
    revision: str = ""
    marker: str = ""
    requires_python: str = ""
    layer: int = 0

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.version else self.name


@dataclass(frozen=True)
class NeedsBuild:
    """No wheel of a package fits, and `reason` says why; `is_possible` where there is something to build one from."""

    package: LockedPackage
    reason: str

    @property
    def is_possible(self) -> bool:
        """Whether there are sources."""
        return self.package.sdist is not None or self.package.source in ("directory", "vcs")

    def __str__(self) -> str:
        return f"{self.package}: {self.reason}"


@dataclass(frozen=True)
class NeedsInstaller:
    """What a layer installs can only be told by an installer that runs in the image; `reason` is a sentence."""

    layer: int
    title: str
    reason: str

    def __str__(self) -> str:
        return f"{self.title}: {self.reason}"


@dataclass(frozen=True)
class Resolution:
    """What all layers together install, in the order of names, after later ones replaced what earlier ones had.

    `logins` are the indexes whose credentials fetching needs; `brought` is what each layer brought, the first first,
    also what was replaced.
    """

    packages: tuple[LockedPackage, ...]
    logins: tuple[Index, ...] = field(default=(), compare=False, repr=False)
    brought: tuple[LockedPackage, ...] = field(default=(), compare=False, repr=False)
