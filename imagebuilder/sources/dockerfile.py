"""A Dockerfile of the user's own.

Staged: `Dockerfile`, and `context` less what docker's rules leave out.
"""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH100, PTH120

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError
from imagebuilder.sources.ignore import DOCKERIGNORE
from imagebuilder.sources.material import Material
from imagebuilder.sources.tree import literally
from imagebuilder.sources.user_file import read_original, require_folder

if TYPE_CHECKING:
    from imagebuilder.sources.sources import Sources
    from imagebuilder.spec.base import DockerfileBase


def read_dockerfile(base: DockerfileBase, sources: Sources) -> Material:
    """Read a Dockerfile and its context; `<name>.dockerignore` beside the one goes before `.dockerignore` in the other.

    No ignore file is part of the context: docker would apply it once more.

    Raises:
        SourceError: one is missing, or the context is a whole home folder or disk.
    """
    path = os.path.abspath(base.file)
    dockerfile = read_original(sources, path, f"correct the path in from_dockerfile({base.file!r})")
    context = os.path.dirname(path) if base.context is None else os.path.abspath(base.context)
    require_folder(context, f"correct the path in from_dockerfile({base.file!r}, context={base.context!r})")
    if os.path.realpath(context) in ("/", _home()):
        raise SourceError(
            f"the build context {context} is {'the whole disk' if context == '/' else 'your home folder'}",
            hint="move the Dockerfile into a folder of its own, or name one with context=...",
        )
    own = f"{path}{DOCKERIGNORE}"
    patterns: tuple[str, ...] = ()
    if os.path.lexists(own):
        patterns = (*sources.ignore_file(own), f"/{DOCKERIGNORE}")
        inside = os.path.relpath(own, context)
        if not inside.startswith("../"):
            patterns += (literally(inside),)
    snapshot = sources.snapshot(context, patterns, defaults=False, dockerignore=not patterns)
    return Material((("Dockerfile", dockerfile), ("context", snapshot)))


def _home() -> str:
    try:
        return os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return "/"
