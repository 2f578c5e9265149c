"""What this package makes: a layer, and what one is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from imagebuilder.layers.tar_header import Kind

if TYPE_CHECKING:
    from imagebuilder.layers.wheel import WheelFile
    from imagebuilder.layers.zip_directory import Member
    from imagebuilder.registry.descriptor import Descriptor

MEDIA_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
MTIME: Final = 315532800  # 1980-01-01: zip files know nothing earlier, so an earlier time breaks who zips such files


@dataclass(frozen=True)
class Layer:
    """A layer in the store: its descriptor, the digest of the tar archive in it, and for people what it holds."""

    descriptor: Descriptor
    diff_id: str
    what: str


@dataclass(frozen=True, slots=True)
class Packed:
    """A content that lies in a wheel; `digest` is what RECORD says, after its algorithm."""

    wheel: WheelFile
    member: Member
    digest: bytes


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A content that lies in a file, from `offset`, whose SHA-256 was found before."""

    location: str
    sha256: bytes
    offset: int = 0


Content: TypeAlias = bytes | Packed | OnDisk


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One entry of a layer; `path` has no slash before or behind, `owner` is another than the layer's."""

    path: str
    kind: Kind
    mode: int
    size: int = 0
    content: Content = b""
    link: str = ""
    owner: tuple[int, int] | None = None

    @classmethod
    def file(cls, path: str, content: bytes, *, executable: bool = False) -> TarEntry:
        """A file of known bytes."""
        return cls(path, Kind.FILE, 0o755 if executable else 0o644, len(content), content)

    @classmethod
    def folder(cls, path: str) -> TarEntry:
        """A folder."""
        return cls(path, Kind.FOLDER, 0o755)

    @classmethod
    def symlink(cls, path: str, target: str) -> TarEntry:
        """A symbolic link."""
        return cls(path, Kind.LINK, 0o777, link=target)
