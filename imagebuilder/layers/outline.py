"""What packing must know of a wheel, so that it is packed the same whether it is at hand or not."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from imagebuilder.layers import fast_zlib
from imagebuilder.layers.merge import collisions, identity
from imagebuilder.layers.packing import Sized, pack
from imagebuilder.layers.tar_header import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imagebuilder.layers.layer import TarEntry
    from imagebuilder.layers.target import InstallTarget
    from imagebuilder.layers.wheel import WheelFile

CODEC: Final = "outline-1"  # raise it with every change to what an outline says
LARGEST: Final = 8 << 20  # bytes, packed
_LARGEST_TEXT: Final = 128 << 20
_MOST_CLAIMS: Final = 500_000
_IDENTITY: Final = 16  # bytes; enough to tell contents apart


class Claim(NamedTuple):
    """A path that a wheel installs; two claims of one content have one identity."""

    path: str
    kind: Kind
    mode: int
    identity: bytes


@dataclass(frozen=True)
class Outline:
    """A wheel's name and version, its size in bytes, and what it installs, scripts included."""

    name: str
    version: str
    size: int
    claims: tuple[Claim, ...]

    @classmethod
    def of(cls, wheel: WheelFile, entries: Iterable[TarEntry]) -> Outline:
        """The outline of a wheel that is at hand; `entries` are what it installs."""
        claims = (Claim(entry.path, entry.kind, entry.mode, identity(entry.content)[:_IDENTITY]) for entry in entries)
        return cls(wheel.name, wheel.version, wheel.size, tuple(claims))

    def to_bytes(self) -> bytes:
        """The outline, packed."""
        rows = [[claim.path, claim.kind.name, claim.mode, claim.identity.hex()] for claim in self.claims]
        document = {"name": self.name, "version": self.version, "size": self.size, "claims": rows}
        return gzip.compress(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(), mtime=0)

    @classmethod
    def from_bytes(cls, content: bytes, target: InstallTarget) -> Outline:
        """What `to_bytes` made.

        Raises:
            ValueError: it is anything else, or claims a path outside of the environment.
        """
        try:
            document: dict[str, Any] = json.loads(unpacked(content, _LARGEST_TEXT))
            rows = document["claims"]
            if len(rows) > _MOST_CLAIMS:
                raise ValueError(f"it claims {len(rows)} paths")
            claims = tuple(_claim(row, f"{target.root}/") for row in rows)
            found = cls(str(document["name"]), str(document["version"]), int(document["size"]), claims)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"it is no outline: {type(error).__name__}") from None
        return found


def _claim(row: Sequence[Any], root: str) -> Claim:
    path, kind, mode, content = row
    if not isinstance(path, str) or not path.startswith(root) or {"", ".", ".."} & set(path.split("/")):
        raise ValueError(f"it claims {path!r}")
    if type(mode) is not int or not 0 <= mode <= 0o7777:
        raise ValueError(f"it gives {path} the mode {mode!r}")
    return Claim(path, Kind[kind], mode, bytes.fromhex(content))


def divide(outlines: Iterable[Outline], budget: int) -> list[tuple[str, ...]]:
    """The names of the wheels in each layer.

    Raises:
        SourceError: a file of one is a folder of another.
    """
    ordered = sorted(outlines, key=lambda outline: outline.name)
    together = collisions({outline.name: outline.claims for outline in ordered})
    return pack([Sized(outline.name, outline.size) for outline in ordered], together=together, budget=budget)


def unpacked(content: bytes, largest: int) -> bytes:
    """What a gzip file holds.

    Raises:
        ValueError: it is none, or holds more than `largest` bytes.
    """
    inflater = fast_zlib.inflater(31)
    try:
        text = inflater.decompress(content, largest + 1)
    except fast_zlib.ERRORS as error:
        raise ValueError(f"it cannot be unpacked: {error}") from None
    if len(text) > largest or not inflater.eof or inflater.unused_data:
        raise ValueError("it is too large, or not one whole")
    return text
