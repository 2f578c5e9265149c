"""What of an image is copied: all of it, one platform, or an index with holes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from imagebuilder.errors import VerificationError

if TYPE_CHECKING:
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.manifest import Manifest
    from imagebuilder.registry.registry_store import RegistryStore
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference

_SUBJECT = "vnd.docker.reference.digest"  # of an attestation: the image it is about (BuildKit)
_DEPTH = 3  # indexes within indexes


class Selection(NamedTuple):
    """The manifest that gets the tag, and the digests of children that stay behind."""

    root: Descriptor
    left_out: frozenset[str] = frozenset()


def select(
    store: RegistryStore, ref: Reference, top: Manifest, platforms: tuple[Platform, ...], *, sparse: bool
) -> Selection:
    """Choose what to copy of the manifest `top` behind `ref`, reading its children.

    Raises:
        VerificationError: a platform is missing, or the index has holes and may not.
        RegistryError: the registry could not say.
    """
    unwanted: frozenset[str] = frozenset()
    if platforms and not top.is_index:
        _check_single(store, ref, top, platforms)
    elif platforms:
        wanted = [child for child in top.images if child.platform in platforms]
        _check_platforms(ref, top, platforms)
        unwanted = _others(top, wanted)
        if unwanted and not sparse:
            if len(wanted) > 1:
                raise VerificationError(
                    f"{ref} has other platforms than {', '.join(map(str, platforms))}, and its digest covers them all",
                    hint="copy all of it, or one platform, or leave holes in the index with --sparse",
                )
            return _complete(store, ref, wanted[0].replace(platform=None), sparse=sparse)
    return _complete(store, ref, top.descriptor, unwanted, sparse=sparse)


def _check_single(store: RegistryStore, ref: Reference, top: Manifest, platforms: tuple[Platform, ...]) -> None:
    found = store.client.platform_of(ref, top)
    if any(platform != found for platform in platforms):
        raise VerificationError(f"{ref} is for {found or 'no platform that it names'}, not {_words(platforms)}")


def _check_platforms(ref: Reference, top: Manifest, platforms: tuple[Platform, ...]) -> None:
    lacking = [platform for platform in platforms if platform not in top.platforms]
    if lacking:
        there = _words(top.platforms) or "none that it names"
        raise VerificationError(f"{ref} lacks {_words(lacking)}; it has {there}")


def _others(top: Manifest, wanted: list[Descriptor]) -> frozenset[str]:
    """The children that neither are wanted nor attest what is."""
    kept = {child.digest for child in wanted}
    return frozenset(
        child.digest
        for child in top.children
        if child.digest not in kept and child.annotations.get(_SUBJECT) not in kept
    )


def _complete(
    store: RegistryStore,
    ref: Reference,
    root: Descriptor,
    unwanted: frozenset[str] = frozenset(),
    *,
    sparse: bool,
) -> Selection:
    holes: dict[str, str] = {}

    def visit(descriptor: Descriptor, depth: int) -> None:
        found = store.find_manifest(ref.with_digest(descriptor.digest))
        if found is None:
            holes[descriptor.digest] = str(descriptor.platform or descriptor.media_type)
        elif depth:
            for child in found.children:
                if child.digest not in unwanted:
                    visit(child, depth - 1)

    visit(root, _DEPTH)
    if holes and not sparse:
        named = "; ".join(f"{digest} for {what}" for digest, what in holes.items())
        raise VerificationError(
            f"{ref} is a sparse index: {ref.name} lacks {named}",
            hint="copy what is there with --sparse, or one platform with --platform",
        )
    return Selection(root, unwanted | holes.keys())


def _words(platforms: tuple[Platform, ...] | list[Platform]) -> str:
    return ", ".join(map(str, platforms))
