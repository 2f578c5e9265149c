"""The image that a task runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.spec.image import Image


def image_of(image: str | Image | None) -> str | Image:
    """The image meant by a setting: none and "auto" are the Debian base with the SDK."""
    if image is None or image == "auto":
        from imagebuilder.spec.image import Image

        return Image.from_debian_base()
    return image


def reference_of(image: str | Image | None, images: Mapping[str, str]) -> str:
    """Its complete reference: that of `images` by identifier, else as it is written, else its own."""
    meant = image_of(image)
    if isinstance(meant, str):
        return images.get(meant, meant)
    # An image that names a registry knows its own reference; reading the identifier reads the files of the spec.
    return images.get(meant.identifier) or meant.uri
