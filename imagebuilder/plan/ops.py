"""The few operations that every layer is lowered to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from imagebuilder.sources.material import Material
    from imagebuilder.spec.base import ScriptBase
    from imagebuilder.spec.layers import PythonLayer
    from imagebuilder.spec.python_version import PythonVersion

# Where steps find what is mounted for them and for nobody else.
RUN_DIR = "/run/imagebuilder"
FILES_DIR = f"{RUN_DIR}/files"
TOOLS_DIR = f"{RUN_DIR}/tools"
CACHE_DIR = f"{RUN_DIR}/cache"

CacheName: TypeAlias = Literal["uv", "apt"]


@dataclass(frozen=True)
class SecretMount:
    """A secret for one step: the file it stands in, and the variable it is exported as."""

    id: str
    target: str
    variable: str | None = None


@dataclass(frozen=True)
class MakeAccount:
    """A user with a group and a home of its own, where the base has none of that name; `uid` None takes the next."""

    name: str
    uid: int | None


@dataclass(frozen=True)
class MakeFolder:
    """A folder, where it is missing, for a user by name."""

    path: str
    owner: str


@dataclass(frozen=True)
class MakeVenv:
    """A virtual environment from the base's own Python, where it is missing."""

    path: str
    system_packages: bool


@dataclass(frozen=True)
class InstallPackages:
    """What a Python layer, or a script as the base, installs into the virtual environment."""

    what: PythonLayer | ScriptBase
    material: Material | None


@dataclass(frozen=True)
class CheckPython:
    """An error where the virtual environment is not of this Python."""

    path: str
    version: PythonVersion


FileOp: TypeAlias = MakeAccount | MakeFolder | MakeVenv | InstallPackages | CheckPython


@dataclass(frozen=True)
class Exec:
    """A shell script, run as `user` (None: root), with what is mounted for it alone.

    `files_only` says what the script amounts to where that is nothing but files: such a step need not run.
    """

    template: str
    values: tuple[tuple[str, object], ...]
    shows: str
    user: str | None = None
    files: str | None = None
    cache: CacheName | None = None
    network: bool = False
    tools: bool = False
    secrets: tuple[SecretMount, ...] = ()
    files_only: tuple[FileOp, ...] = ()


@dataclass(frozen=True)
class Copy:
    """Files of a material to a place in the image, one file where there is an `entry`.

    `link` makes a layer that depends on no earlier one, and brings the folders above `dst` with it: only where they are
    sure to be the same below. `sdk` says that it is the task SDK; `shows` what it is where that is not its place.
    """

    files: str
    entry: str
    dst: str
    owner: str | None = None
    link: bool = False
    sdk: bool = False
    shows: str | None = None


@dataclass(frozen=True)
class SetEnv:
    """Environment variables of the image; `prepend_path` is put before the base's PATH."""

    variables: tuple[tuple[str, str], ...] = ()
    prepend_path: str | None = None


@dataclass(frozen=True)
class SetUser:
    """The user that later operations and the container run as."""

    name: str


@dataclass(frozen=True)
class SetWorkdir:
    """The working directory."""

    path: str


@dataclass(frozen=True)
class SetLabels:
    """Labels of the image."""

    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SetEntrypoint:
    """What the container runs; empty clears the base's."""

    args: tuple[str, ...]


Op: TypeAlias = Exec | Copy | SetEnv | SetUser | SetWorkdir | SetLabels | SetEntrypoint


@dataclass(frozen=True)
class Step:
    """An operation and the layer of the spec it comes from; 0 is the base, layers count from 1."""

    layer: int
    op: Op


@dataclass(frozen=True)
class Plan:
    """How an image is made: its base, operations in order, and the materials they take files from.

    `base_user` is who the base runs as, None where nobody asked; `titles` say what the base and each layer are, for
    people.
    """

    base: str
    base_user: str | None
    steps: tuple[Step, ...]
    materials: dict[str, Material]
    titles: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class DockerfilePlan:
    """An image made by the user's own Dockerfile."""

    material: Material
    titles: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()
