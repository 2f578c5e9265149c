"""What must be known about a base image: the user it runs as."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from imagebuilder.errors import RegistryError, UnknownError
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from imagebuilder.outputs.docker import Docker
    from imagebuilder.registry.client import Client
    from imagebuilder.spec.platform import Platform


class BaseUsers:
    """Asks the base's registry, and Docker's own store for bases that are nowhere else; each once."""

    def __init__(self, client: Client, docker: Docker) -> None:
        self._client = client
        self._docker = docker
        self._known: dict[tuple[str, Platform], str] = {}
        self._lock = threading.Lock()

    def user(self, reference: str, platform: Platform) -> str:
        """The user of a base's config, empty for root.

        Raises:
            UnknownError: neither the registry nor Docker could say.
        """
        with self._lock:
            key = (reference, platform)
            if key not in self._known:
                self._known[key] = self._ask(Reference.parse(reference), platform)
            return self._known[key]

    def _ask(self, reference: Reference, platform: Platform) -> str:
        try:
            return self._from_registry(reference, platform)
        except RegistryError as error:
            local = self._docker.config(reference.familiar)
            config = local.get("Config") if local else None
            if isinstance(config, dict):
                return str(config.get("User") or "")
            raise UnknownError(
                f"could not find out which user the base {reference.familiar} runs as: {error.message}",
                hint="check the base's name, or say who runs the container with with_user(...)",
            ) from error

    def _from_registry(self, reference: Reference, platform: Platform) -> str:
        manifest = self._client.manifest(reference)
        if manifest.is_index:
            child = next((child for child in manifest.images if child.platform == platform), None)
            if child is None:
                has = ", ".join(map(str, manifest.platforms))
                raise RegistryError(f"{reference.familiar} has no {platform} (it has {has})")
            manifest = self._client.manifest(reference.with_digest(child.digest))
        if manifest.config is None:
            raise RegistryError(f"{reference.familiar} is not a container image")
        try:
            config = json.loads(self._client.blob(reference, manifest.config))["config"] or {}
            return str(config.get("User") or "")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RegistryError(f"the config of {reference.familiar} is broken: {error!r}") from error
