"""What a check answers: yes, no, or could not ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from imagebuilder.spec.value import Value

if TYPE_CHECKING:
    from imagebuilder.spec.platform import Platform


class Present(Value):
    """The image is there, for every platform asked; `platforms` are all that it has."""

    digest: str
    platforms: tuple[Platform, ...] = ()


class Absent(Value):
    """The registry says that it is not there, or that a platform of it is not."""

    reason: str


class Unknown(Value):
    """Could not find out; `denied` where the registry refused our credentials, which proves nothing about the image."""

    reason: str
    denied: bool = False
    hint: str | None = None


Verdict: TypeAlias = Present | Absent | Unknown


def judge(name: str, digest: str, found: tuple[Platform, ...], wanted: tuple[Platform, ...]) -> Present | Absent:
    """Whether an image that has the platforms `found` answers for those `wanted`."""
    missing = [str(platform) for platform in wanted if platform not in found]
    if not missing:
        return Present(digest, found)
    has = ", ".join(map(str, found)) or "no platform"
    return Absent(f"{name} exists ({digest}) but lacks {', '.join(missing)}; it has {has}")
