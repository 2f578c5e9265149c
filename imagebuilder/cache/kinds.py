"""The kinds of what is kept, each in a folder of its own whose name carries the version of its form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """`version` is raised with every change to how files of it are read; `what` is for people."""

    name: str
    version: int
    what: str

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.name}-{self.version}"

    def at(self, cache_dir: Path) -> Path:
        """Its folder below the cache folder."""
        return cache_dir / self.folder


RESOLUTIONS: Final = Kind("resolutions", 1, "what requirements resolved to, for ten minutes")
WHEELS: Final = Kind("wheels", 1, "wheels as they were published")
BUILT: Final = Kind("built", 1, "which wheels were built of what has none")
LAYERS: Final = Kind("layers", 1, "which layers wheels make")
BYTECODE: Final = Kind("bytecode", 1, "compiled modules of wheels")
IMAGES: Final = Kind("images", 1, "layers, configs and manifests")
BASES: Final = Kind("bases", 1, "manifests and configs of bases")
FACTS: Final = Kind("facts", 5, "what is in bases: their Python, users and folders")
PREFIXES: Final = Kind("prefixes", 1, "which images BuildKit made for others to stand on")
NORMALIZED: Final = Kind("normalized", 1, "which of BuildKit's layers became which")
SOURCES: Final = Kind("sources", 1, "digests of source files")
TOOLS: Final = Kind("tools", 1, "uv for steps that run")
SDKS: Final = Kind("sdks", 1, "what the task SDK is in an image")

KINDS: Final = (
    RESOLUTIONS, WHEELS, BUILT, LAYERS, BYTECODE, IMAGES, BASES, FACTS, PREFIXES, NORMALIZED, SOURCES, TOOLS, SDKS,
)  # fmt: skip
