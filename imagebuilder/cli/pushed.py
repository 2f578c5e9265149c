"""What a pushed image says that it was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from imagebuilder.errors import RegistryError, UnknownError, WorkError
from imagebuilder.identity.labels import Recorded, from_labels
from imagebuilder.spec.reference import DOCKER_HUB, Reference

if TYPE_CHECKING:
    from imagebuilder.config import Config
    from imagebuilder.registry import Client


def read_recorded(config: Config, text: str, *, local: bool = True) -> Recorded:
    """Read the labels of an image from its registry, or with `local` from Docker where that has it alone.

    Raises:
        WorkError: it is in neither.
        UnknownError: the registry could not be asked, or the image carries no labels of ours.
    """
    from imagebuilder.outputs.docker import Docker

    reference = Reference.parse(text)
    docker = Docker(config.environ)
    # A name without a host that Docker has is the image that was loaded there, and Docker Hub need not be asked.
    loaded = local and reference.registry == DOCKER_HUB and not text.startswith(DOCKER_HUB)
    labels = _from_docker(docker.config(reference.familiar)) if loaded else None
    if labels is None:
        with config.make_client() as client:
            try:
                labels = _from_registry(client, reference)
            except RegistryError as error:
                labels = None if loaded or not local else _from_docker(docker.config(reference.familiar))
                if labels is None:
                    kind = WorkError if error.status == 404 else UnknownError
                    raise kind(error.message, hint=error.hint) from error
    recorded = from_labels(labels)
    if recorded is None:
        raise UnknownError(
            f"{text} does not say what it was made from: it carries no labels of this project",
            hint="images that imagebuild built say it; build it again if an older version did",
        )
    return recorded


def _from_registry(client: Client, reference: Reference) -> dict[str, str]:
    manifest = client.manifest(reference)
    if manifest.is_index:
        child = next(iter(manifest.images), None)
        if child is None:
            raise RegistryError(f"{reference} is an index without images")
        manifest = client.manifest(reference.with_digest(child.digest))
    if manifest.config is None:
        raise RegistryError(f"{reference} is not a container image")
    return _labels(json.loads(client.blob(reference, manifest.config)).get("config"))


def _from_docker(found: dict[str, object] | None) -> dict[str, str] | None:
    return None if found is None else _labels(found.get("Config"))


def _labels(config: object) -> dict[str, str]:
    labels = config.get("Labels") if isinstance(config, dict) else None
    return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}
