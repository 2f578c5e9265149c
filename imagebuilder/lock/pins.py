"""What a lock says of one image: what it was made from, and what it fixes for each platform."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from imagebuilder.spec.platform import Platform

# The form of assembled images: raise it with every change to the bytes that the same spec and lock make, which a test
# tells; locks of another form are stale, so that none of two machines makes other bytes under the same identifier.
FORM: Final = 3

# Where a file is got from does not make it another one.
_PLACES = ("url", "size")


@dataclass(frozen=True)
class Input:
    """A part of a spec that decides what is pinned: the base, or a layer that installs Python packages.

    `requires` is what people wrote there, as far as it is a list of packages; nothing in it is a credential.
    `number` is the layer's in the spec, where that is known: other layers before it change nothing.
    """

    title: str
    digest: str
    requires: tuple[str, ...] = ()
    number: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"layer {self.number}, {self.title}" if self.number else self.title


@dataclass(frozen=True)
class PinnedPackage:
    """A package as PEP 751 writes it, with the files for one platform; `step` counts the Python layers from 1."""

    step: int
    table: Mapping[str, Any]


@dataclass(frozen=True)
class PlatformPins:
    """What is fixed for one platform.

    `base` is the digest of the base's manifest, `machine` what `platform.machine()` says there, `bytecode` the full
    version of the Python that compiles, empty where nothing is compiled. `unpinned` says why the packages are not
    fixed, where they are not. `tools` is a time (RFC 3339): what build backends ask indexes for is no newer; empty
    where nothing is built, or no index tells the times of its files.
    """

    platform: str
    base: str
    machine: str = ""
    bytecode: str = ""
    unpinned: str = ""
    packages: tuple[PinnedPackage, ...] = ()
    tools: str = ""

    @property
    def versions(self) -> dict[str, str]:
        """The version of each package, empty where only building it tells; of a replaced one the last."""
        return {str(one.table["name"]): str(one.table.get("version", "")) for one in self.packages}


@dataclass(frozen=True)
class Pins:
    """What holds for the platforms of one build; `base` is the digest that the base's own reference led to.

    `form` is that of the assembled image, `sdk` the digest of the task SDK's files, empty where it has none.
    """

    base: str
    platforms: tuple[PlatformPins, ...]
    form: int = FORM
    sdk: str = ""

    @cached_property
    def digest(self) -> str:
        """The SHA-256, in hex, of all that they fix; where files are fetched from is no part of it."""
        document = [
            {
                "platform": one.platform,
                "base": one.base,
                "bytecode": one.bytecode,
                "tools": one.tools,
                "packages": [[package.step, _content(package.table)] for package in one.packages],
            }
            for one in sorted(self.platforms, key=lambda one: one.platform)
        ]
        parts = [self.form, document, *filter(None, [self.sdk])]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(b"imagebuilder lock 1\n" + text.encode()).hexdigest()

    @property
    def bytecode(self) -> str:
        """The version that compiles what all platforms share; empty where they do not agree."""
        (version, *others) = {one.bytecode for one in self.platforms}
        return "" if others else version

    def of(self, platform: Platform) -> PlatformPins:
        """Those of one platform."""
        return next(one for one in self.platforms if one.platform == str(platform))

    def first(self, steps: int, *, sdk: bool = False) -> Pins:
        """Those of an image that ends after so many Python layers; without any, no Python compiles for it.

        `sdk` says whether it has the task SDK.
        """

        def cut(one: PlatformPins) -> PlatformPins:
            packages = tuple(package for package in one.packages if package.step <= steps)
            return replace(
                one, packages=packages, bytecode=one.bytecode if steps else "", tools=one.tools if steps else ""
            )

        return replace(self, platforms=tuple(map(cut, self.platforms)), sdk=self.sdk if sdk else "")


@dataclass(frozen=True)
class ImageLock:
    """A lock's entry: the image by its spec's file and variable, what it was made from, and what it fixes.

    `base` is the reference that `digest` was found under. The first of `inputs` is the base. `sdk` is as for `Pins`.
    """

    spec: str
    name: str
    base: str
    digest: str
    inputs: tuple[Input, ...]
    platforms: tuple[PlatformPins, ...]
    image: str = field(default="")
    form: int = FORM
    sdk: str = ""

    def pins(self, platforms: Iterable[Platform]) -> Pins:
        """What holds for a build of these platforms, which are among those that were locked."""
        wanted = {str(platform) for platform in platforms}
        return Pins(self.digest, tuple(one for one in self.platforms if one.platform in wanted), self.form, self.sdk)

    def lacks(self, platforms: Iterable[Platform]) -> list[str]:
        """The platforms that it says nothing about."""
        known = {one.platform for one in self.platforms}
        return [text for platform in platforms if (text := str(platform)) not in known]

    def versions(self, platform: str, without: Collection[str] = ()) -> dict[str, str]:
        """The version of each package that is pinned for a platform, or else for others, except of those named."""
        return {
            name: version
            for one in sorted(self.platforms, key=lambda one: one.platform == platform)
            for name, version in one.versions.items()
            if version and name not in without
        }


def _content(value: Any) -> Any:
    match value:
        case dict():
            return {key: _content(item) for key, item in value.items() if key not in _PLACES or "hashes" not in value}
        case list():
            return [_content(item) for item in value]
        case _:
            return value
