"""Wheel files.

Staged: each under its own name, side by side.
"""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH100, PTH112, PTH118, PTH119, PTH208

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError
from imagebuilder.sources.content import unreadable
from imagebuilder.sources.material import Material, Original
from imagebuilder.sources.user_file import read_original

if TYPE_CHECKING:
    from imagebuilder.sources.sources import Sources
    from imagebuilder.spec.layers import Wheels

# PEP 427, "File name convention".
_NAME = re.compile(
    r"[A-Za-z0-9._]+-[A-Za-z0-9._!+]+(?:-[0-9][^-/]*)?-[A-Za-z0-9._]+-[A-Za-z0-9._]+-[A-Za-z0-9._]+\.whl\Z"
)
_BUILD = "`uv build --wheel` makes one in dist/"


def read_wheels(layer: Wheels, sources: Sources) -> Material:
    """Read wheels and folders of wheels, in any order.

    Raises:
        SourceError: a path is missing, is no wheel, has none in it, or two wheels share a name.
    """
    wheels: dict[str, Original] = {}
    for given in layer.paths:
        for path in _wheels_at(os.path.abspath(given), given):
            name = os.path.basename(path)
            if not _NAME.match(name):
                raise SourceError(
                    f"{path} is not named as a wheel is, name-version-python-abi-platform.whl",
                    hint="give it back the name that its build gave it",
                )
            wheel = read_original(sources, path, f"correct the path in with_wheels({given!r})")
            if name in wheels and wheels[name].digest != wheel.digest:
                raise SourceError(
                    f"{wheels[name].location} and {path} are two different wheels of the same name",
                    hint="keep one of them, or give one a version of its own",
                )
            wheels.setdefault(name, wheel)
    return Material(tuple(wheels.items()))


def _wheels_at(path: str, given: str) -> list[str]:
    if not os.path.lexists(path):
        raise SourceError(f"{path} does not exist", hint=f"correct the path in with_wheels({given!r}); {_BUILD}")
    if not os.path.isdir(path):
        if not path.endswith(".whl"):
            raise SourceError(f"{path} is not a wheel", hint=f"give a *.whl file or a folder of them; {_BUILD}")
        return [path]
    try:
        found = sorted(os.path.join(path, name) for name in os.listdir(path) if name.endswith(".whl"))
    except OSError as error:
        raise unreadable(path, error) from None
    if not found:
        raise SourceError(f"{path} has no wheels in it", hint=_BUILD)
    return found
