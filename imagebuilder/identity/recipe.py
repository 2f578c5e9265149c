"""Recipe epochs: what the words of a spec stand for.

An upgrade of this project never changes an epoch, so it never changes an identifier. What must change gets a new
epoch, which a project adopts with `epoch = N` in its configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

from imagebuilder.errors import ConfigError, SpecError
from imagebuilder.spec.python_version import PythonVersion, running, satisfies


@dataclass(frozen=True)
class Recipe:
    """One epoch: the base of each Python version, and the fixed names inside the image."""

    epoch: int
    debian_bases: dict[PythonVersion, str]
    venv: str = "/opt/venv"
    user: str = "app"
    uid: int = 1000
    workdir: str = "/app"
    poetry: str = "poetry>=2,<3"

    def debian_base(self, version: PythonVersion) -> str:
        """The base image of a Python version.

        Raises:
            SpecError: the epoch has none.
        """
        try:
            return self.debian_bases[version]
        except KeyError:
            known = ", ".join(f"{major}.{minor}" for major, minor in sorted(self.debian_bases))
            raise SpecError(
                f"there is no Debian base for Python {version[0]}.{version[1]}",
                hint=f"choose one of {known}, or start from an image of your own with Image.from_base(...)",
            ) from None

    def python_for(self, requires_python: str | None, name: str) -> PythonVersion:
        """The Python that a `requires-python` decides: the running one where admitted, else the lowest that is."""
        if requires_python is None:
            return running()
        if running() in self.debian_bases and satisfies(running(), requires_python):
            return running()
        for version in sorted(self.debian_bases):
            if satisfies(version, requires_python):
                return version
        raise SpecError(
            f"{name}: no Python of this project's bases satisfies requires-python = {requires_python!r}",
            hint="widen requires-python, or give python_version=...",
        )


EPOCHS = {
    1: Recipe(
        epoch=1,
        debian_bases={
            (3, 9): "python:3.9-slim-bookworm",
            (3, 10): "python:3.10-slim-bookworm",
            (3, 11): "python:3.11-slim-bookworm",
            (3, 12): "python:3.12-slim-bookworm",
            (3, 13): "python:3.13-slim-trixie",
            (3, 14): "python:3.14-slim-trixie",
        },
    )
}
DEFAULT_EPOCH = 1


def recipe(epoch: int = DEFAULT_EPOCH) -> Recipe:
    """The recipe of an epoch.

    Raises:
        ConfigError: there is no such epoch.
    """
    if epoch not in EPOCHS:
        raise ConfigError(
            f"epoch {epoch!r} does not exist in this version", hint=f"choose one of {sorted(EPOCHS)}, or upgrade"
        )
    return EPOCHS[epoch]
