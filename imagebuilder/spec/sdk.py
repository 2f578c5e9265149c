"""Which task SDK goes into an image."""

from __future__ import annotations

from imagebuilder.errors import SpecError
from imagebuilder.spec import arguments

# The one that is released with this version: both distributions are released together.
SDK_VERSION = "0.1.0"


def sdk_version(request: bool | str | None, where: str) -> str:
    """The version that is asked for; True and None mean the one released with this version.

    Raises:
        SpecError: it is not a version.
    """
    if request is None or request is True:
        return SDK_VERSION
    version = arguments.line(request, where, f'"{SDK_VERSION}"')
    if not version or not version[0].isdigit() or not version.replace(".", "").replace("+", "").isalnum():
        raise SpecError(f"{where}: {version!r} is not a version", hint=f'write "{SDK_VERSION}", or leave it out')
    return version
