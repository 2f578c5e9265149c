"""What an image starts from: one frozen value per kind of base."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from imagebuilder.spec.layers import PipOptions
from imagebuilder.spec.value import Value

if TYPE_CHECKING:
    from imagebuilder.spec.python_version import PythonVersion


class DebianBase(Value):
    """A slim Debian with a Python of one minor version, a virtual environment and a user that is not root.

    `sdk` is the version of the task SDK that it has, None for none.
    """

    kind: ClassVar[str] = "debian"
    python_version: PythonVersion
    sdk: str | None = None


class ScriptBase(Value):
    """A Debian base with what a script's PEP 723 block asks for.

    `python_version` None means what its `requires-python` decides.
    """

    kind: ClassVar[str] = "uv script"
    where: ClassVar[tuple[str, ...]] = ("script",)
    script: str
    python_version: PythonVersion | None = None
    options: PipOptions = PipOptions()


class ReferenceBase(Value):
    """Any image of a registry."""

    kind: ClassVar[str] = "reference"
    reference: str


class DockerfileBase(Value):
    """A Dockerfile and its build context (the Dockerfile's folder where None)."""

    kind: ClassVar[str] = "dockerfile"
    where: ClassVar[tuple[str, ...]] = ("file", "context")
    file: str
    context: str | None = None


class NamedBase(Value):
    """An image that the configuration names."""

    kind: ClassVar[str] = "named"
    name: str


Base = DebianBase | ScriptBase | ReferenceBase | DockerfileBase | NamedBase
