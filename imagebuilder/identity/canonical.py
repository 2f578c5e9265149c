"""One form for layers that mean the same, so that one meaning has one identifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.spec.layers import AptPackages, SourceFile, SourceFolder, Workdir
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from imagebuilder.spec.layers import Layer

# Folders that every image has, so a file copied to one lands in it.
_FOLDERS = frozenset((
    *("/", "/bin", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/usr/bin", "/usr/lib"),  # noqa: S108
    *("/usr/local", "/usr/local/bin", "/usr/local/lib", "/var", "/var/lib"),
))  # fmt: skip


def canonical_layer(layer: Layer, workdir: str | None) -> Layer:
    """The order of Debian packages does not count, nor how a place is written where `workdir` is known."""
    match layer:
        case AptPackages(packages):
            return layer.replace(packages=tuple(sorted(set(packages))))
        case SourceFolder(_, dst):
            return layer.replace(dst=absolute(dst, workdir))
        case SourceFile(_, dst):
            place = absolute(dst, workdir)
            is_folder = place in _FOLDERS or place == workdir
            return layer.replace(dst=f"{place.rstrip('/')}/" if is_folder else place)
        case Workdir(path):
            return Workdir(absolute(path, workdir))
        case _:
            return layer


def workdir_after(layer: Layer, workdir: str | None) -> str | None:
    """The working directory after a canonical layer, where it is known."""
    if not isinstance(layer, Workdir):
        return workdir
    return layer.path if layer.path.startswith("/") else None


def canonical_reference(text: str) -> str:
    """A base in full; beside a digest a tag says nothing, and without either `latest` is meant."""
    reference = Reference.parse(text)
    if reference.digest is not None:
        return str(reference.with_digest(reference.digest))
    return str(reference.with_tag(reference.target))


def absolute(path: str, workdir: str | None) -> str:
    """A place in the image made absolute where the working directory is known; a trailing slash stays."""
    if path.startswith("/") or workdir is None:
        return path
    if path == ".":
        return workdir
    return f"{workdir.rstrip('/')}/{path}"
