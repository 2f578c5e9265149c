"""Lowers a spec to operations: the one place that knows every layer."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.errors import SpecError
from imagebuilder.identity.canonical import canonical_layer, workdir_after
from imagebuilder.identity.labels import record, to_labels
from imagebuilder.plan.ops import (
    CheckPython,
    Copy,
    DockerfilePlan,
    Exec,
    InstallPackages,
    MakeAccount,
    MakeFolder,
    MakeVenv,
    Op,
    Plan,
    SecretMount,
    SetEntrypoint,
    SetEnv,
    SetLabels,
    SetUser,
    SetWorkdir,
    Step,
)
from imagebuilder.plan.pip import pip_arguments
from imagebuilder.plan.secrets import index_mounts, secret_mounts
from imagebuilder.spec.base import DebianBase, DockerfileBase, NamedBase, ReferenceBase, ScriptBase
from imagebuilder.spec.layers import (
    AptPackages,
    Commands,
    Entrypoint,
    EnvVars,
    Labels,
    Layer,
    PipPackages,
    PoetryProject,
    PyLock,
    PythonLayer,
    Requirements,
    Sdk,
    SourceFile,
    SourceFolder,
    User,
    UvProject,
    Wheels,
    Workdir,
)
from imagebuilder.spec.titles import base_title, layer_title

if TYPE_CHECKING:
    from imagebuilder.identity.identifier import Identity
    from imagebuilder.identity.recipe import Recipe
    from imagebuilder.sources.material import Material
    from imagebuilder.sources.materials import Materials
    from imagebuilder.spec.base import Base
    from imagebuilder.spec.image import Image
    from imagebuilder.spec.python_version import PythonVersion


def needs_base_user(image: Image) -> bool:
    """Whether steps run as root on a base whose own user must be given back afterwards."""
    runs = (PipPackages, Requirements, UvProject, PyLock, PoetryProject, Wheels, AptPackages, Commands, Sdk)
    return (
        isinstance(image.base, ReferenceBase)
        and any(isinstance(layer, runs) for layer in image.layers)
        and not any(isinstance(layer, User) for layer in image.layers)
    )


def lower(  # noqa: PLR0917 - what an image is, then what else must be known to make it
    image: Image,
    identity: Identity,
    materials: Materials,
    recipe: Recipe,
    base_user: str = "",
    sdk: Material | None = None,
) -> Plan | DockerfilePlan:
    """Decide how an image is made; pure.

    `base_user` is the user of the base's config, for images that `needs_base_user` names; `sdk` is what the task SDK
    puts into the virtual environment, for images that have it.

    Raises:
        SpecError: no base image exists for what the spec asks.
    """
    titles = (base_title(image.base), *(layer_title(layer) for layer in image.layers))
    labels = to_labels(record(image, identity, materials))
    if isinstance(image.base, DockerfileBase):
        assert materials.base is not None
        return DockerfilePlan(materials.base, titles, labels)
    lowering = _Lowering(recipe, sdk)
    base = lowering.base(image, materials)
    for number, (layer, material) in enumerate(zip(image.layers, materials.layers, strict=True), start=1):
        if isinstance(layer, (SourceFolder, SourceFile)):
            lowering.default_sdk(image.base)
        lowering.number = number
        lowering.layer(canonical_layer(layer, lowering.workdir), material)
    lowering.default_sdk(image.base)
    if not isinstance(image.base, ReferenceBase):
        known_user: str | None = ""  # ours are root's
    else:
        known_user = base_user if needs_base_user(image) else None
    return Plan(base, known_user, tuple(lowering.steps), lowering.materials, titles, labels)


@dataclass
class _Lowering:
    recipe: Recipe
    sdk: Material | None = None
    steps: list[Step] = field(default_factory=list)
    materials: dict[str, Material] = field(default_factory=dict)
    number: int = 0
    workdir: str | None = None  # where it is known
    made_workdir: str | None = None  # the one that is surely ours, with no folder of the base's above it but /
    build_user: str | None = None  # who runs commands, where not root
    owner: str | None = None  # whom copied files belong to, where not root
    has_venv: bool = False
    has_sdk: bool = False

    def emit(self, op: Op) -> None:
        self.steps.append(Step(self.number, op))

    def base(self, image: Image, materials: Materials) -> str:
        recipe = self.recipe
        match image.base:
            case DebianBase(version):
                self.prepare()
                return recipe.debian_base(version)
            case ScriptBase():
                assert materials.python_version is not None and materials.base is not None  # noqa: PT018 - as above
                self.prepare()
                script = image.base
                self.project("steps/uv_project.sh.j2", script, materials.base, "uv sync", lock=True, install=False)
                return recipe.debian_base(materials.python_version)
            case ReferenceBase(reference):
                return reference
            case DockerfileBase() | NamedBase():
                raise SpecError(f"{image.base!r} has no layers to lower")

    def layer(self, layer: Layer, material: Material | None) -> None:  # noqa: C901, PLR0912 - one branch per layer
        """Lower one layer, in its canonical form."""
        match layer:
            case PipPackages(packages):
                self.pip(layer, packages, material, shows="uv pip install " + " ".join(packages))
            case Requirements():
                self.pip(layer, ("-r", "requirements.txt"), material, shows="uv pip install -r requirements.txt")
            case PyLock():
                self.pip(layer, ("-r", "pylock.toml"), material, shows="uv pip install -r pylock.toml")
            case Wheels():
                assert material is not None
                names = tuple(f"./{at}" for at, _ in material.pieces)
                self.pip(layer, names, material, shows="uv pip install " + " ".join(names))
            case UvProject(_, _, mode):
                install = mode == "install_project"
                self.project("steps/uv_project.sh.j2", layer, material, "uv sync --frozen", install=install)
            case PoetryProject(_, _, mode):
                install = mode == "install_project"
                self.project("steps/poetry.sh.j2", layer, material, "poetry install", install=install)
            case AptPackages(packages, secrets):
                self.emit(
                    Exec(
                        "steps/apt.sh.j2",
                        (("packages", packages),),
                        "apt-get install " + " ".join(packages),
                        cache="apt",
                        network=True,
                        secrets=secret_mounts(secrets),
                    )
                )
            case Commands(commands, secrets):
                self.commands(commands, secret_mounts(secrets))
            case Sdk(version, python):
                self.task_sdk(version, python)
            case EnvVars(variables):
                self.emit(SetEnv(variables))
            case Labels(labels):
                self.emit(SetLabels(labels))
            case SourceFolder(src, dst):
                self.copy(material, dst, os.path.basename(src))  # noqa: PTH119 - paths are strings in a spec
            case SourceFile(_, dst, name):
                self.copy(material, dst, name)
            case Workdir(path):
                self.set_workdir(path)
                self.workdir = workdir_after(layer, self.workdir)
            case User(name, uid):
                self.set_user(name, uid)
            case Entrypoint(args):
                self.emit(SetEntrypoint(args))

    def commands(self, commands: tuple[str, ...], secrets: tuple[SecretMount, ...]) -> None:
        for command in commands:
            values = (("command", command),)
            who = self.build_user
            self.emit(Exec("steps/command.sh.j2", values, command, user=who, network=True, secrets=secrets))
        self.made_workdir = None  # a command may have given it to somebody else, or made a link of it

    def default_sdk(self, base: Base) -> None:
        """The SDK that comes with a base: before the first of the user's files, so that those may change alone."""
        if isinstance(base, DebianBase) and base.sdk is not None and not self.has_sdk:
            self.number = 0
            self.task_sdk(base.sdk, None)

    def task_sdk(self, version: str, python: PythonVersion | None) -> None:
        """`python` is for bases that must be asked whether it is theirs."""
        ours = self.has_venv
        self.venv()
        venv = self.recipe.venv
        if python is not None:
            values = (("venv", venv), ("version", f"{python[0]}.{python[1]}"))
            checks = (CheckPython(venv, python),)
            self.emit(Exec("steps/check_python.sh.j2", values, "check the base's Python", files_only=checks))
        assert self.sdk is not None
        files = self.keep(self.sdk, "task-sdk")
        self.has_sdk = True
        self.emit(Copy(files, "", venv, "0:0", link=ours, sdk=True, shows=f"task SDK {version}"))

    def prepare(self) -> None:
        recipe = self.recipe
        self.owner = f"{recipe.uid}:{recipe.uid}"
        self.has_venv = True
        self.workdir = self.made_workdir = recipe.workdir
        values = (
            ("user", recipe.user),
            ("uid", recipe.uid),
            ("owner", self.owner),
            ("workdir", recipe.workdir),
            ("venv", recipe.venv),
            ("system_packages", False),
        )
        files = (
            MakeAccount(recipe.user, recipe.uid),
            MakeFolder(recipe.workdir, recipe.user),
            MakeVenv(recipe.venv, system_packages=False),
        )
        shows = f"make user {recipe.user} and {recipe.venv}"
        self.emit(Exec("steps/prepare.sh.j2", values, shows, tools=True, files_only=files))
        self.emit(SetEnv((("VIRTUAL_ENV", recipe.venv),), prepend_path=f"{recipe.venv}/bin"))
        self.emit(SetWorkdir(recipe.workdir))
        self.emit(SetUser(recipe.user))

    def venv(self) -> None:
        if self.has_venv:
            return
        self.has_venv = True
        values = (("venv", self.recipe.venv), ("system_packages", True))
        files = (MakeVenv(self.recipe.venv, system_packages=True),)
        shows = f"make {self.recipe.venv} from the base's Python"
        self.emit(Exec("steps/venv.sh.j2", values, shows, tools=True, files_only=files))
        self.emit(SetEnv((("VIRTUAL_ENV", self.recipe.venv),), prepend_path=f"{self.recipe.venv}/bin"))

    def pip(self, layer: PythonLayer, what: tuple[str, ...], material: Material | None, *, shows: str) -> None:
        self.venv()
        values = (
            ("venv", self.recipe.venv),
            ("arguments", (*pip_arguments(layer.options), *what)),
            ("no_config", 1),
        )
        self.python_step("steps/pip.sh.j2", values, layer, material, shows)

    def project(
        self,
        template: str,
        what: PythonLayer | ScriptBase,
        material: Material | None,
        shows: str,
        *,
        install: bool,
        lock: bool = False,
    ) -> None:
        self.venv()
        assert material is not None
        values = (
            ("venv", self.recipe.venv),
            ("arguments", pip_arguments(what.options)),
            ("entry", material.entry or "."),
            ("install_project", install),
            ("lock", lock),
            ("poetry", self.recipe.poetry),
            ("no_config", 0),
        )
        self.python_step(template, values, what, material, shows)

    def python_step(
        self,
        template: str,
        values: tuple[tuple[str, object], ...],
        what: PythonLayer | ScriptBase,
        material: Material | None,
        shows: str,
    ) -> None:
        options = what.options
        secrets: tuple[SecretMount, ...] = (*secret_mounts(options.secret_mounts), *index_mounts(options))
        files = self.keep(material, "files") if material is not None else None
        self.emit(
            Exec(
                template,
                values,
                shows,
                files=files,
                cache="uv",
                network=True,
                tools=True,
                secrets=secrets,
                files_only=(InstallPackages(what, material),),
            )
        )

    def copy(self, material: Material | None, dst: str, name: str) -> None:
        assert material is not None
        files = self.keep(material, name)
        # Where a file is to be copied to a name, that name may be a folder, which a linked layer would replace.
        is_place = not material.entry or dst.endswith("/")
        ours = self.made_workdir is not None and f"{dst}/".startswith(f"{self.made_workdir}/")
        self.emit(Copy(files, material.entry, dst, self.owner, link=ours and is_place and self.owner is not None))

    def set_workdir(self, path: str) -> None:
        self.made_workdir = None
        if self.owner is not None:
            values = (("workdir", path), ("owner", self.owner))
            owner = self.build_user or self.recipe.user
            files = (MakeFolder(path, owner),)
            self.emit(Exec("steps/workdir.sh.j2", values, f"mkdir -p {path}", files_only=files))
        self.emit(SetWorkdir(path))

    def set_user(self, name: str, uid: int | None) -> None:
        self.made_workdir = None
        if name == "root":
            self.build_user = self.owner = None
        else:
            self.build_user = self.owner = name
            values = (("user", name), ("uid", uid))
            self.emit(Exec("steps/user.sh.j2", values, f"useradd {name}", files_only=(MakeAccount(name, uid),)))
        self.emit(SetUser(name))

    def keep(self, material: Material, name: str) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "files"
        key = f"{self.number}-{slug}"
        self.materials[key] = material
        return key
