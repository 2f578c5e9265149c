"""What a container image contains, as a value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from imagebuilder.errors import InvalidReferenceError, SpecError
from imagebuilder.spec import arguments
from imagebuilder.spec.base import Base, DebianBase, DockerfileBase, NamedBase, ReferenceBase, ScriptBase
from imagebuilder.spec.layers import (
    LABEL_PREFIX,
    AptPackages,
    Commands,
    Entrypoint,
    EnvVars,
    InstallMode,
    Labels,
    Layer,
    PipPackages,
    PoetryProject,
    PyLock,
    Requirements,
    Sdk,
    SourceFile,
    SourceFolder,
    User,
    UvProject,
    Wheels,
    Workdir,
)
from imagebuilder.spec.pip_options import IndexUrls, install_mode, pip_options
from imagebuilder.spec.platform import LINUX_AMD64, Platform
from imagebuilder.spec.publication import DEFAULT_NAME, PlatformRequest, published
from imagebuilder.spec.python_version import python_version as parse_python
from imagebuilder.spec.python_version import running
from imagebuilder.spec.reference import Reference
from imagebuilder.spec.requirement import requirement
from imagebuilder.spec.sdk import sdk_version
from imagebuilder.spec.secret import Secret, SecretRequest, secrets_from
from imagebuilder.spec.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from imagebuilder.spec.arguments import StrPath

P = ParamSpec("P")
PythonRequest = str | tuple[int, int]

# Debian policy 5.6.1 and apt-get(8): a name, an architecture, then =version or /suite; a last '-' would remove it.
_APT = r"[a-z0-9](?:[a-z0-9+.-]*[a-z0-9+.])?(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]+|/[A-Za-z0-9._-]+)?\Z"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_.-]*\Z"
_USER = r"[a-z_][a-z0-9_-]{0,31}\Z"


class Image(Value):
    """A container image: a base, layers on it, and where it is published.

    Every `with_*` method returns a new image. Make one with a `from_*` method, read `identifier` and `uri`, build it
    with `imagebuild build` or `imagebuilder.build`.
    """

    base: Base
    name: str | None = None
    registry: str | None = None
    registry_secret: Secret | None = None
    platforms: tuple[Platform, ...] = (LINUX_AMD64,)
    layers: tuple[Layer, ...] = ()
    ignore_files: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse a base that is none, which a spec's author meets by writing `Image("python:3.11")`."""
        base: object = self.base
        if not isinstance(base, (DebianBase, ScriptBase, ReferenceBase, DockerfileBase, NamedBase)):
            hint = f"write Image.from_base({base!r})" if isinstance(base, str) else "write Image.from_debian_base()"
            raise SpecError(f"{base!r} is not what an image starts from", hint=hint)

    # -- where an image starts ---------------------------------------------------------------------------------------

    @classmethod
    def from_debian_base(
        cls,
        python_version: PythonRequest | None = None,
        *,
        name: str | None = None,
        registry: str | None = None,
        registry_secret: str | Secret | None = None,
        platform: PlatformRequest | None = None,
        install_sdk: bool | str = True,
    ) -> Image:
        """Start from a slim Debian with Python, by default of the running interpreter's minor version.

        The image runs as the user `app` in `/app`, with the virtual environment `/opt/venv` first on PATH.
        It has the task SDK, before the first of your own files; `install_sdk` is True, False or a version.
        """
        version = running() if python_version is None else parse_python(python_version)
        sdk = sdk_version(install_sdk, "from_debian_base(install_sdk=...)") if install_sdk is not False else None
        return published(
            cls(DebianBase(version, sdk)),
            name=name,
            registry=registry,
            registry_secret=registry_secret,
            platform=platform,
        )

    @classmethod
    def from_base(
        cls,
        image_uri: str,
        *,
        name: str | None = None,
        registry: str | None = None,
        registry_secret: str | Secret | None = None,
        platform: PlatformRequest | None = None,
    ) -> Image:
        """Start from any image; its user, working directory and settings are kept.

        A layer that installs Python packages makes `/opt/venv` from the base's own Python.
        """
        uri = arguments.line(image_uri, "from_base()", 'Image.from_base("python:3.11-slim")')
        try:
            Reference.parse(uri)
        except InvalidReferenceError as error:
            raise SpecError(f"from_base(): {error.message}", hint=error.hint) from error
        return published(
            cls(ReferenceBase(uri)), name=name, registry=registry, registry_secret=registry_secret, platform=platform
        )

    @classmethod
    def from_dockerfile(
        cls,
        file: StrPath,
        registry: str | None = None,
        name: str | None = None,
        platform: PlatformRequest | None = None,
        context: StrPath | None = None,
        *,
        registry_secret: str | Secret | None = None,
    ) -> Image:
        """Build a Dockerfile of your own; `context` is its folder by default. No layers may follow."""
        example = 'Image.from_dockerfile("Dockerfile")'
        base = DockerfileBase(
            arguments.path(file, "from_dockerfile()", example),
            None if context is None else arguments.path(context, "from_dockerfile()", example),
        )
        return published(cls(base), name=name, registry=registry, registry_secret=registry_secret, platform=platform)

    @classmethod
    def from_uv_script(
        cls,
        script: StrPath,
        *,
        name: str | None = None,
        registry: str | None = None,
        registry_secret: str | Secret | None = None,
        python_version: PythonRequest | None = None,
        index_url: str | None = None,
        extra_index_urls: IndexUrls | None = None,
        pre: bool = False,
        extra_args: str | None = None,
        platform: PlatformRequest | None = None,
        secret_mounts: SecretRequest | None = None,
    ) -> Image:
        """Start from what a script's PEP 723 block asks for; the script itself is not part of the image.

        Without `python_version`, `requires-python` decides: the running interpreter's minor version where it is
        admitted, else the lowest that is.
        """
        base = ScriptBase(
            arguments.path(script, "from_uv_script()", 'Image.from_uv_script("script.py")'),
            None if python_version is None else parse_python(python_version),
            pip_options(
                "from_uv_script()",
                index_url=index_url,
                extra_index_urls=extra_index_urls,
                pre=pre,
                extra_args=extra_args,
                secret_mounts=secret_mounts,
            ),
        )
        return published(cls(base), name=name, registry=registry, registry_secret=registry_secret, platform=platform)

    @classmethod
    def from_ref_name(cls, name: str = "default") -> Image:
        """Start from the image that the configuration names, under `[tool.imagebuilder.images]`."""
        return cls(NamedBase(arguments.line(name, "from_ref_name()", 'Image.from_ref_name("default")')))

    # -- Python packages ---------------------------------------------------------------------------------------------

    def with_pip_packages(
        self,
        *packages: str,
        index_url: str | None = None,
        extra_index_urls: IndexUrls | None = None,
        pre: bool = False,
        extra_args: str | None = None,
        secret_mounts: SecretRequest | None = None,
    ) -> Image:
        """Install Python packages by requirement, such as `"numpy"` or `"scipy==1.10.0"`."""
        at = "with_pip_packages()"
        names = arguments.strings(packages, at, 'with_pip_packages("numpy", "scipy==1.10.0")')
        options = pip_options(
            at,
            index_url=index_url,
            extra_index_urls=extra_index_urls,
            pre=pre,
            extra_args=extra_args,
            secret_mounts=secret_mounts,
        )
        found = tuple(requirement(item, at, options.secret_mounts) for item in names)
        return self._with(PipPackages(found, options))

    def with_requirements(  # noqa: PLR0917 - the API that users know
        self,
        file: StrPath,
        index_url: str | None = None,
        extra_index_urls: IndexUrls | None = None,
        pre: bool = False,
        extra_args: str | None = None,
        secret_mounts: SecretRequest | None = None,
    ) -> Image:
        """Install what a requirements file lists, and the files it includes with `-r` and `-c`."""
        at = "with_requirements()"
        options = pip_options(
            at,
            index_url=index_url,
            extra_index_urls=extra_index_urls,
            pre=pre,
            extra_args=extra_args,
            secret_mounts=secret_mounts,
        )
        return self._with(Requirements(arguments.path(file, at, 'with_requirements("requirements.txt")'), options))

    def with_uv_project(  # noqa: PLR0917 - the API that users know
        self,
        pyproject_file: StrPath,
        uvlock: StrPath | None = None,
        index_url: str | None = None,
        extra_index_urls: IndexUrls | None = None,
        pre: bool = False,
        extra_args: str | None = None,
        secret_mounts: SecretRequest | None = None,
        project_install_mode: InstallMode = "dependencies_only",
    ) -> Image:
        """Install a uv project's locked dependencies, and the project too with `"install_project"`.

        `uvlock` is found beside the project or at the root of its workspace by default.
        """
        at = "with_uv_project()"
        example = 'with_uv_project("pyproject.toml")'
        return self._with(
            UvProject(
                arguments.path(pyproject_file, at, example),
                None if uvlock is None else arguments.path(uvlock, at, example),
                install_mode(project_install_mode, at),
                pip_options(
                    at,
                    index_url=index_url,
                    extra_index_urls=extra_index_urls,
                    pre=pre,
                    extra_args=extra_args,
                    secret_mounts=secret_mounts,
                ),
            )
        )

    def with_pylock(
        self,
        file: StrPath,
        *,
        index_url: str | None = None,
        extra_index_urls: IndexUrls | None = None,
        extra_args: str | None = None,
        secret_mounts: SecretRequest | None = None,
    ) -> Image:
        """Install what a lock file (PEP 751, `pylock.toml`) lists."""
        at = "with_pylock()"
        options = pip_options(
            at,
            index_url=index_url,
            extra_index_urls=extra_index_urls,
            extra_args=extra_args,
            secret_mounts=secret_mounts,
        )
        return self._with(PyLock(arguments.path(file, at, 'with_pylock("pylock.toml")'), options))

    def with_poetry_project(
        self,
        pyproject_file: StrPath,
        poetry_lock: StrPath | None = None,
        extra_args: str | None = None,
        secret_mounts: SecretRequest | None = None,
        project_install_mode: InstallMode = "dependencies_only",
    ) -> Image:
        """Install a Poetry project's locked dependencies, and the project too with `"install_project"`."""
        at = "with_poetry_project()"
        example = 'with_poetry_project("pyproject.toml")'
        return self._with(
            PoetryProject(
                arguments.path(pyproject_file, at, example),
                None if poetry_lock is None else arguments.path(poetry_lock, at, example),
                install_mode(project_install_mode, at),
                pip_options(at, extra_args=extra_args, secret_mounts=secret_mounts),
            )
        )

    def with_wheels(
        self,
        *paths: StrPath,
        index_url: str | None = None,
        extra_index_urls: IndexUrls | None = None,
        extra_args: str | None = None,
        secret_mounts: SecretRequest | None = None,
    ) -> Image:
        """Install wheel files, or every wheel of a folder, with what they depend on."""
        at = "with_wheels()"
        given = arguments.items(paths)
        if not given:
            raise SpecError(f"{at} needs a wheel or a folder of wheels", hint='write with_wheels("./dist")')
        options = pip_options(
            at,
            index_url=index_url,
            extra_index_urls=extra_index_urls,
            extra_args=extra_args,
            secret_mounts=secret_mounts,
        )
        return self._with(Wheels(tuple(arguments.path(item, at, 'with_wheels("./dist")') for item in given), options))

    def with_sdk(self, version: str | None = None, *, python_version: PythonRequest | None = None) -> Image:
        """Install the task SDK and its executor, by default of the version that is released with this one.

        Over `from_base`, `python_version` says which Python the base has.
        """
        sdk = sdk_version(version, "with_sdk()")
        python = None if python_version is None else parse_python(python_version)
        has_sdk = isinstance(self.base, DebianBase) and self.base.sdk is not None
        if has_sdk or any(isinstance(layer, Sdk) for layer in self.layers):
            again = f"write from_debian_base(install_sdk={sdk!r}), and " if version is not None and has_sdk else ""
            raise SpecError("with_sdk(): the image has the task SDK already", hint=f"{again}leave with_sdk() out")
        if isinstance(self.base, (DebianBase, ScriptBase)):
            if python is not None:
                raise SpecError("with_sdk(): this image's Python is its base's", hint="write with_sdk()")
        elif python is None:
            raise SpecError(
                "with_sdk(): only the base knows which Python it has",
                hint='say which, with_sdk(python_version="3.11")',
            )
        return self._with(Sdk(sdk, python))

    # -- the system --------------------------------------------------------------------------------------------------

    def with_apt_packages(self, *packages: str, secret_mounts: SecretRequest | None = None) -> Image:
        """Install Debian packages by name, such as `"git"` or `"curl=7.88.1-10"`."""
        at = "with_apt_packages()"
        names = arguments.strings(packages, at, 'with_apt_packages("git", "curl")')
        for item in names:
            if not re.match(_APT, item):
                raise SpecError(
                    f"{at}: {item!r} is not the name of a Debian package",
                    hint=_apt_hint(item),
                )
        return self._with(AptPackages(names, secrets_from(secret_mounts, at)))

    def with_commands(self, commands: Sequence[str], secret_mounts: SecretRequest | None = None) -> Image:
        """Run shell commands, each a step of its own; as root until `with_user`."""
        at = "with_commands()"
        example = 'with_commands(["make install"])'
        given: object = commands
        if isinstance(given, str):
            raise SpecError(f"{at} takes a list of commands, not one string", hint=f"write with_commands([{given!r}])")
        return self._with(Commands(arguments.strings(commands, at, example), secrets_from(secret_mounts, at)))

    def with_user(self, name: str, uid: int | None = None) -> Image:
        """Run later commands and the container as this user, made where missing; `"root"` is allowed."""
        at = "with_user()"
        checked = arguments.line(name, at, 'with_user("worker")')
        if not re.match(_USER, checked):
            raise SpecError(
                f"{at}: {checked!r} is not a user name",
                hint='write with_user("worker", uid=1001)' if checked[:1].isdigit() else 'write with_user("worker")',
            )
        if uid is not None and (type(uid) is not int or not 0 <= uid < 2**31):
            raise SpecError(f"{at}: {uid!r} is not a user id", hint=f'write with_user("{checked}", uid=1001)')
        if (checked == "root") != (uid == 0) and uid is not None:
            raise SpecError(f"{at}: uid 0 is root and only root, not {checked!r} with uid={uid}")
        return self._with(User(checked, uid or None))

    # -- files -------------------------------------------------------------------------------------------------------

    def with_source_folder(
        self,
        src: StrPath,
        dst: StrPath | None = None,
        ignore: Sequence[str] = (),
        copy_contents_only: bool = False,
    ) -> Image:
        """Copy what is in a folder to `dst`.

        Without `dst` it lands in a folder of the same name in the working directory, or, with
        `copy_contents_only`, in the working directory itself.
        """
        at = "with_source_folder()"
        source = arguments.path(src, at, 'with_source_folder("./my_code", "/app")')
        contents = arguments.flag(copy_contents_only, f"{at} copy_contents_only")
        if isinstance(ignore, str):
            raise SpecError(f"{at}: ignore takes a list of patterns", hint=f"write ignore=[{ignore!r}]")
        patterns = arguments.strings(ignore, at, 'with_source_folder("./my_code", ignore=["*.csv"])') if ignore else ()
        if dst is not None:
            target = arguments.destination(dst, at, 'with_source_folder(src, "/app")').rstrip("/") or "/"
        elif contents:
            target = "."
        else:
            target = arguments.file_name(source, at)
            if not target:
                raise SpecError(
                    f"{at}: {source!r} has no name to give to the folder in the image",
                    hint=f'write with_source_folder({source!r}, "/app") or copy_contents_only=True',
                )
        return self._with(SourceFolder(source, target, patterns))

    def with_source_file(self, src: StrPath | Sequence[StrPath], dst: StrPath = ".") -> Image:
        """Copy a file, or a list of files, to `dst`.

        A `dst` that ends with a slash, is `.`, or is a folder of the image holds them under their own names;
        any other is the file's new path.
        """
        at = "with_source_file()"
        example = 'with_source_file("config.yml", "/app/config.yml")'
        target = arguments.destination(dst, at, example)
        given: object = src
        sources = [
            arguments.path(item, at, example) for item in (given if isinstance(given, (list, tuple)) else [given])
        ]
        names = [arguments.file_name(source, at) for source in sources]
        if not names or not all(names):
            raise SpecError(f"{at} needs files, not {src!r}", hint=f"write {example}")
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise SpecError(f"{at}: several files are named {', '.join(repeated)} and would overwrite each other")
        if len(sources) > 1 and target != "." and not target.endswith("/"):
            target += "/"
        image = self
        for source, name in zip(sources, names, strict=True):
            image = image._with(SourceFile(source, target, name))
        return image

    def with_dockerignore(self, file: StrPath) -> Image:
        """Leave out of every source folder what a file in `.dockerignore` syntax says; `!` takes back in."""
        if isinstance(self.base, DockerfileBase):
            raise SpecError(
                "with_dockerignore(): the context of a Dockerfile has an ignore file of its own",
                hint="write .dockerignore in the context, or <Dockerfile>.dockerignore beside the Dockerfile",
            )
        path = arguments.path(file, "with_dockerignore()", 'with_dockerignore(".dockerignore")')
        return self.replace(ignore_files=(*self.ignore_files, path))

    # -- settings ----------------------------------------------------------------------------------------------------

    def with_env_vars(self, env_vars: Mapping[str, str]) -> Image:
        """Set environment variables of the image; values are literal, `$` included."""
        at = "with_env_vars()"
        example = 'with_env_vars({"MODE": "fast"})'
        pairs = arguments.pairs(env_vars, at, example)
        for key in pairs:
            if not re.match(_VARIABLE, key):
                raise SpecError(f"{at}: {key!r} is not a variable name", hint=f"write {example}")
        last = self.layers[-1] if self.layers else None
        if isinstance(last, EnvVars):
            merged = {**dict(last.variables), **pairs}
            return self.replace(layers=(*self.layers[:-1], EnvVars(tuple(sorted(merged.items())))))
        return self._with(EnvVars(tuple(sorted(pairs.items())))) if pairs else self

    def with_labels(self, labels: Mapping[str, str]) -> Image:
        """Set labels of the image."""
        at = "with_labels()"
        example = 'with_labels({"team": "search"})'
        pairs = arguments.pairs(labels, at, example)
        for key in pairs:
            if not key or "=" in key or key != key.strip():
                raise SpecError(f"{at}: {key!r} is not a label's name", hint=f"write {example}")
            if key.startswith(LABEL_PREFIX):
                raise SpecError(
                    f"{at}: {key!r} is not a label of yours",
                    hint=f"names under {LABEL_PREFIX} are written by the build",
                )
        last = self.layers[-1] if self.layers else None
        if isinstance(last, Labels):
            merged = {**dict(last.labels), **pairs}
            return self.replace(layers=(*self.layers[:-1], Labels(tuple(sorted(merged.items())))))
        return self._with(Labels(tuple(sorted(pairs.items())))) if pairs else self

    def with_workdir(self, workdir: StrPath) -> Image:
        """Set the working directory, made where missing."""
        path = arguments.destination(workdir, "with_workdir()", 'with_workdir("/app")').rstrip("/") or "/"
        return self._with(Workdir(path))

    def with_entrypoint(self, *args: str) -> Image:
        """Set what the container runs, as arguments; a list works too, and an empty one clears the base's."""
        at = "with_entrypoint()"
        example = 'with_entrypoint("python", "-m", "app")'
        checked = tuple(arguments.text(item, at, example) for item in arguments.items(args))
        if checked and not checked[0].strip():
            raise SpecError(f"{at}: the program's name is empty", hint=f"write {example}")
        return self._with(Entrypoint(checked))

    # -- the value ---------------------------------------------------------------------------------------------------

    def clone(
        self,
        *,
        name: str | None = None,
        registry: str | None = None,
        registry_secret: str | Secret | None = None,
        python_version: PythonRequest | None = None,
        platform: PlatformRequest | None = None,
    ) -> Image:
        """The same image with another name, registry, Python version or platform.

        A login is for the registry it was written for: another `registry` drops `registry_secret`, unless one is given.
        """
        image = self
        if python_version is not None:
            match self.base:
                case DebianBase() | ScriptBase():
                    image = image.replace(base=self.base.replace(python_version=parse_python(python_version)))
                case _:
                    raise SpecError(
                        "clone(python_version=...): this image's Python is its base's",
                        hint="start from Image.from_debian_base(python_version=...)",
                    )
        return published(image, name=name, registry=registry, registry_secret=registry_secret, platform=platform)

    def pipe(self, function: Callable[Concatenate[Image, P], Image], *args: P.args, **kwargs: P.kwargs) -> Image:
        """Apply a recipe: `image.pipe(with_team_tools, version=2)` is `with_team_tools(image, version=2)`."""
        result: object = function(self, *args, **kwargs)
        if not isinstance(result, Image):
            name = getattr(function, "__name__", repr(function))
            raise SpecError(f"pipe(): {name} returned {result!r}, not an Image", hint="return the image it made")
        return result

    @property
    def identifier(self) -> str:
        """The content address of what this image means; reads the files it names."""
        from imagebuilder.api import identify_image

        return identify_image(self).identity.identifier

    @property
    def uri(self) -> str:
        """Where the image is published: `registry/name:identifier`, or the base's reference where nothing was added."""
        if isinstance(self.base, ReferenceBase) and not self.layers:
            return self.base.reference
        from imagebuilder.api import identify_image

        return identify_image(self).uri

    def reference_for(self, identifier: str) -> str:
        """The `uri` under a known identifier."""
        name = f"{self.name or DEFAULT_NAME}:{identifier}"
        return f"{self.registry}/{name}" if self.registry else name

    def __repr__(self) -> str:
        from imagebuilder.spec.show import show_image

        return show_image(self)

    def _with(self, layer: Layer) -> Image:
        if isinstance(self.base, DockerfileBase):
            raise SpecError(
                f"an image from a Dockerfile takes no layers, and this adds {layer.kind}",
                hint="write it into the Dockerfile, or build that first and start from it with Image.from_base(...)",
            )
        return self.replace(layers=(*self.layers, layer))


def _apt_hint(item: str) -> str:
    names = item.split()
    if len(names) > 1 and all(re.match(_APT, name) for name in names):
        return f"write with_apt_packages({', '.join(map(repr, names))})"
    return 'write one name each, with_apt_packages("git", "curl"); shell goes into with_commands([...])'
