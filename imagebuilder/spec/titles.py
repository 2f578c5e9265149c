"""What a part of a spec is called when people are told about it."""

from __future__ import annotations

from imagebuilder.spec.base import Base, DebianBase, DockerfileBase, NamedBase, ReferenceBase, ScriptBase
from imagebuilder.spec.layers import (
    AptPackages,
    Commands,
    EnvVars,
    Labels,
    Layer,
    PipPackages,
    PyLock,
    Requirements,
    Sdk,
    SourceFile,
    SourceFolder,
    User,
    Wheels,
    Workdir,
)

_LENGTH = 60


def base_title(base: Base) -> str:
    """A base in a few words: `base python 3.11`."""
    match base:
        case DebianBase((major, minor)):
            return f"debian base with python {major}.{minor}"
        case ScriptBase(script):
            return f"uv script {script}"
        case ReferenceBase(reference):
            return f"base {reference}"
        case DockerfileBase(file):
            return f"dockerfile {file}"
        case NamedBase(name):
            return f"image {name!r} of the configuration"


def layer_title(layer: Layer) -> str:
    """A layer in a few words: `source folder ./my_code`."""
    match layer:
        case PipPackages(packages) | AptPackages(packages):
            words = " ".join(packages)
        case Commands(commands):
            words = commands[0] if len(commands) == 1 else f"{commands[0]} (and {len(commands) - 1} more)"
        case EnvVars(pairs) | Labels(pairs):
            words = " ".join(key for key, _ in pairs)
        case SourceFolder(src) | SourceFile(src):
            words = src if src.startswith(("/", ".")) else f"./{src}"
        case Requirements(file) | PyLock(file):
            words = file
        case Wheels(paths):
            words = " ".join(paths)
        case Workdir(words) | User(words) | Sdk(words):
            pass
        case _:
            words = getattr(layer, "pyproject_file", "")
    words = " ".join(words.split())
    if len(words) > _LENGTH:
        words = f"{words[: _LENGTH - 1]}…"
    return f"{layer.kind} {words}".strip()
