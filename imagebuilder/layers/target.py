"""Where wheels are installed: a virtual environment that a base's interpreter runs."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from imagebuilder.errors import SpecError
from imagebuilder.layers.layer import MTIME


@dataclass(frozen=True)
class InstallTarget:
    """A virtual environment in the image.

    `prefix` is its folder, `python` the interpreter's version, `interpreter` the base's own interpreter, `owner` the
    user and group ids of all that is written, `mtime` its time in seconds.
    """

    prefix: str = "/opt/venv"
    python: tuple[int, int] = (3, 11)
    interpreter: str = "/usr/local/bin/python3"
    owner: tuple[int, int] = (0, 0)
    mtime: int = MTIME

    def __post_init__(self) -> None:
        for path in (self.prefix, self.interpreter):
            if not path.startswith("/") or posixpath.normpath(path) != path or path in ("/", "//"):
                raise SpecError(f"{path!r} is not an absolute path inside an image")
        if min(self.owner) < 0:
            raise SpecError(f"{self.owner} are not a user's and a group's id")

    @property
    def root(self) -> str:
        """The prefix as a path in a tar archive."""
        return self.prefix.lstrip("/")

    @property
    def python_name(self) -> str:
        """`python3.11` and the like."""
        return f"python{self.python[0]}.{self.python[1]}"

    @property
    def site_packages(self) -> str:
        """Where modules go, below the prefix; a virtual environment keeps pure and platform ones together."""
        return f"lib/{self.python_name}/site-packages"
