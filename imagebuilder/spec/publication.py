"""Where an image is published and for which platforms: what every constructor and `clone` take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagebuilder.errors import InvalidReferenceError, SpecError
from imagebuilder.spec import arguments
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference
from imagebuilder.spec.secret import Secret, secrets_from

if TYPE_CHECKING:
    from typing import Any

    from imagebuilder.spec.image import Image

PlatformRequest = str | Platform | Sequence[str | Platform]
DEFAULT_NAME = "image"


def published(
    image: Image,
    *,
    name: str | None,
    registry: str | None,
    registry_secret: str | Secret | None,
    platform: PlatformRequest | None,
) -> Image:
    """The image with what is given; None leaves a part as it is.

    Raises:
        SpecError: name and registry make no reference, or the platform is none.
    """
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = _given(name, "name", 'name="my-app"')
    if registry is not None:
        changes["registry"] = _given(registry, "registry", 'registry="ghcr.io/team"').rstrip("/")
        if changes["registry"] != image.registry:
            changes["registry_secret"] = None  # a login is for the registry it was written for
    if registry_secret is not None:
        secrets = secrets_from(registry_secret, "registry_secret")
        if len(secrets) != 1:
            raise SpecError("registry_secret is one secret", hint='write registry_secret="REGISTRY_LOGIN"')
        changes["registry_secret"] = secrets[0]
    if platform is not None:
        changes["platforms"] = _platforms(platform)
    image = image.replace(**changes) if changes else image
    if name is not None or registry is not None:
        _check_name(image)
    return image


def _given(value: str, what: str, example: str) -> str:
    checked = arguments.line(value, what, example)
    if not checked.strip("/ "):
        raise SpecError(f"{what}={checked!r} is empty", hint=f"write {example}, or leave it out")
    return checked


def _check_name(image: Image) -> None:
    text = image.name or DEFAULT_NAME
    if ":" in text or "@" in text:
        raise SpecError(f"name={text!r} has a tag; the tag is the identifier", hint='write name="my-app"')
    try:
        reference = Reference.parse(f"{image.registry}/{text}" if image.registry else f"docker.io/x/{text}")
    except InvalidReferenceError as error:
        raise SpecError(
            f"name={image.name!r}, registry={image.registry!r} make no image name: {error.message}",
            hint='write name="my-app", registry="ghcr.io/team"',
        ) from error
    if reference.tag or reference.digest:
        raise SpecError(f"registry={image.registry!r} is not a registry", hint='write registry="ghcr.io/team"')


def _platforms(request: object) -> tuple[Platform, ...]:
    given = tuple(request) if isinstance(request, (list, tuple, set, frozenset)) else (request,)
    found: set[Platform] = set()
    for item in given:
        if isinstance(item, Platform):
            found.add(item)
        elif isinstance(item, str):
            found.update(map(Platform.parse, item.split(",")))
        else:
            raise SpecError(f"{item!r} is not a platform", hint='write platform="linux/amd64"')
    if not found:
        raise SpecError("platform is empty", hint='write platform="linux/amd64"')
    return tuple(sorted(found))
