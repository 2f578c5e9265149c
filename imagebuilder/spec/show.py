"""An image as the code that makes it, credentials masked."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from imagebuilder.spec.base import Base, DebianBase, DockerfileBase, NamedBase, ReferenceBase, ScriptBase
from imagebuilder.spec.credential import mask
from imagebuilder.spec.layers import (
    AptPackages,
    Commands,
    Entrypoint,
    EnvVars,
    Labels,
    Layer,
    PipOptions,
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
from imagebuilder.spec.platform import LINUX_AMD64

if TYPE_CHECKING:
    from imagebuilder.spec.image import Image


def show_image(image: Image) -> str:
    """Print an image; `eval` of the text gives an equal one unless credentials were masked."""
    call, argument, keywords = _base(image.base)
    where = _publication(image)
    if isinstance(image.base, NamedBase):
        text = f"Image.{_call(call, (argument,), {})}"
        text += f".{_call('clone', (), where)}" if where else ""
    else:
        text = f"Image.{_call(call, (argument,), {**where, **keywords})}"
    for file in image.ignore_files:
        text += f".with_dockerignore({file!r})"
    for layer in image.layers:
        text += f".{show_layer(layer)}"
    return mask(text)


def show_layer(layer: Layer) -> str:  # noqa: C901, PLR0911, PLR0912 - one branch per layer
    """Print the call that adds a layer."""
    match layer:
        case PipPackages(packages, options):
            return _call("with_pip_packages", packages, _options(options))
        case Requirements(file, options):
            return _call("with_requirements", (file,), _options(options))
        case UvProject(file, lock, mode, options):
            return _call("with_uv_project", (file, lock) if lock else (file,), {**_options(options), **_mode(mode)})
        case PyLock(file, options):
            return _call("with_pylock", (file,), _options(options))
        case PoetryProject(file, lock, mode, options):
            return _call("with_poetry_project", (file, lock) if lock else (file,), {**_options(options), **_mode(mode)})
        case Wheels(paths, options):
            return _call("with_wheels", paths, _options(options))
        case AptPackages(packages, secrets):
            return _call("with_apt_packages", packages, {"secret_mounts": secrets} if secrets else {})
        case Commands(commands, secrets):
            return _call("with_commands", (list(commands),), {"secret_mounts": secrets} if secrets else {})
        case Sdk(version, python):
            return _call("with_sdk", (version,), {} if python is None else {"python_version": python})
        case EnvVars(variables):
            return _call("with_env_vars", (dict(variables),), {})
        case Labels(labels):
            return _call("with_labels", (dict(labels),), {})
        case SourceFolder(src, dst, ignore):
            return _call("with_source_folder", (src, dst), {"ignore": ignore} if ignore else {})
        case SourceFile(src, dst, _):
            return _call("with_source_file", (src, dst), {})
        case Workdir(path):
            return _call("with_workdir", (path,), {})
        case User(name, uid):
            return _call("with_user", (name,), {} if uid is None else {"uid": uid})
        case Entrypoint(args):
            return _call("with_entrypoint", args, {})


def _base(base: Base) -> tuple[str, object, dict[str, Any]]:
    match base:
        case DebianBase(version, sdk):
            return "from_debian_base", version, {"install_sdk": sdk or False}
        case ScriptBase(script, version, options):
            chosen = {} if version is None else {"python_version": version}
            return "from_uv_script", script, {**chosen, **_options(options)}
        case ReferenceBase(reference):
            return "from_base", reference, {}
        case DockerfileBase(file, context):
            return "from_dockerfile", file, {} if context is None else {"context": context}
        case NamedBase(name):
            return "from_ref_name", name, {}


def _publication(image: Image) -> dict[str, Any]:
    where: dict[str, Any] = {}
    if image.name is not None:
        where["name"] = image.name
    if image.registry is not None:
        where["registry"] = image.registry
    if image.registry_secret is not None:
        where["registry_secret"] = image.registry_secret
    if image.platforms != (LINUX_AMD64,):
        where["platform"] = tuple(str(platform) for platform in image.platforms)
    return where


def _options(options: PipOptions) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if options.index_url is not None:
        shown["index_url"] = options.index_url.masked
    if options.extra_index_urls:
        shown["extra_index_urls"] = [index.masked for index in options.extra_index_urls]
    if options.pre:
        shown["pre"] = True
    if options.extra_args:
        shown["extra_args"] = shlex.join(options.extra_args)
    if options.secret_mounts:
        shown["secret_mounts"] = list(options.secret_mounts)
    return shown


def _mode(mode: str) -> dict[str, Any]:
    return {} if mode == "dependencies_only" else {"project_install_mode": mode}


def _call(name: str, positional: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    parts = [repr(item) for item in positional]
    parts += [f"{key}={value!r}" for key, value in keywords.items()]
    return f"{name}({', '.join(parts)})"
