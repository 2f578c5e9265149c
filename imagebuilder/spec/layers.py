"""One frozen value per kind of layer.

A field named in `where` says where files are on this machine: their contents are identified, their place is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from imagebuilder.spec.value import Value

if TYPE_CHECKING:
    from imagebuilder.spec.credential import Index
    from imagebuilder.spec.python_version import PythonVersion
    from imagebuilder.spec.secret import Secret

# The labels that a build writes itself, to tell what the image was made from.
LABEL_PREFIX = "io.imagebuilder."

InstallMode = Literal["dependencies_only", "install_project"]


class PipOptions(Value):
    """How packages are found and installed, the same for every layer that installs some."""

    index_url: Index | None = None
    extra_index_urls: tuple[Index, ...] = ()
    pre: bool = False
    extra_args: tuple[str, ...] = ()
    secret_mounts: tuple[Secret, ...] = ()

    @property
    def indexes(self) -> tuple[Index, ...]:
        """Every index, the default one first."""
        return (*((self.index_url,) if self.index_url else ()), *self.extra_index_urls)


_DEFAULTS = PipOptions()


class PipPackages(Value):
    """Python packages by requirement (PEP 508)."""

    kind: ClassVar[str] = "pip packages"
    packages: tuple[str, ...]
    options: PipOptions = _DEFAULTS


class Requirements(Value):
    """Python packages by a requirements file, with the files it includes."""

    kind: ClassVar[str] = "requirements"
    where: ClassVar[tuple[str, ...]] = ("file",)
    file: str
    options: PipOptions = _DEFAULTS


class UvProject(Value):
    """The dependencies of a uv project, and the project itself where asked for."""

    kind: ClassVar[str] = "uv project"
    where: ClassVar[tuple[str, ...]] = ("pyproject_file", "uvlock")
    pyproject_file: str
    uvlock: str | None = None
    project_install_mode: InstallMode = "dependencies_only"
    options: PipOptions = _DEFAULTS


class PyLock(Value):
    """Python packages by a lock file (PEP 751)."""

    kind: ClassVar[str] = "pylock"
    where: ClassVar[tuple[str, ...]] = ("file",)
    file: str
    options: PipOptions = _DEFAULTS


class PoetryProject(Value):
    """The dependencies of a Poetry project, and the project itself where asked for."""

    kind: ClassVar[str] = "poetry project"
    where: ClassVar[tuple[str, ...]] = ("pyproject_file", "poetry_lock")
    pyproject_file: str
    poetry_lock: str | None = None
    project_install_mode: InstallMode = "dependencies_only"
    options: PipOptions = _DEFAULTS


class Wheels(Value):
    """Wheel files, or folders of them."""

    kind: ClassVar[str] = "wheels"
    where: ClassVar[tuple[str, ...]] = ("paths",)
    paths: tuple[str, ...]
    options: PipOptions = _DEFAULTS


class AptPackages(Value):
    """Debian packages."""

    kind: ClassVar[str] = "apt packages"
    packages: tuple[str, ...]
    secret_mounts: tuple[Secret, ...] = ()


class Commands(Value):
    """Shell commands, each a step of its own."""

    kind: ClassVar[str] = "commands"
    commands: tuple[str, ...]
    secret_mounts: tuple[Secret, ...] = ()


class EnvVars(Value):
    """Environment variables of the image, in the order of their names."""

    kind: ClassVar[str] = "env vars"
    variables: tuple[tuple[str, str], ...]


class Sdk(Value):
    """The task SDK; `python_version` is that of the base, where only the base knows it."""

    kind: ClassVar[str] = "task sdk"
    version: str
    python_version: PythonVersion | None = None


class Labels(Value):
    """Labels of the image, in the order of their names."""

    kind: ClassVar[str] = "labels"
    labels: tuple[tuple[str, str], ...]


class SourceFolder(Value):
    """What is in a folder of this machine, at `dst` in the image."""

    kind: ClassVar[str] = "source folder"
    where: ClassVar[tuple[str, ...]] = ("src", "ignore")
    src: str
    dst: str = "."
    ignore: tuple[str, ...] = ()


class SourceFile(Value):
    """A file of this machine, at `dst` in the image, or in it where `dst` is a folder."""

    kind: ClassVar[str] = "source file"
    where: ClassVar[tuple[str, ...]] = ("src",)
    src: str
    dst: str = "."
    name: str = ""


class Workdir(Value):
    """The working directory from here on; made where missing."""

    kind: ClassVar[str] = "workdir"
    path: str


class User(Value):
    """The user of the steps from here on and of the container; made where missing."""

    kind: ClassVar[str] = "user"
    name: str
    uid: int | None = None


class Entrypoint(Value):
    """What the container runs."""

    kind: ClassVar[str] = "entrypoint"
    args: tuple[str, ...]


PythonLayer = PipPackages | Requirements | UvProject | PyLock | PoetryProject | Wheels
Layer = (
    PythonLayer
    | AptPackages
    | Commands
    | Sdk
    | EnvVars
    | Labels
    | SourceFolder
    | SourceFile
    | Workdir
    | User
    | Entrypoint
)
