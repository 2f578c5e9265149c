"""Which secrets an image needs, under which ids its steps mount them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.errors import SpecError
from imagebuilder.plan.ops import RUN_DIR, SecretMount
from imagebuilder.spec.credential import Credential, Index
from imagebuilder.spec.layers import AptPackages, Commands, PipOptions
from imagebuilder.spec.secret import Secret

if TYPE_CHECKING:
    from imagebuilder.spec.image import Image


@dataclass(frozen=True)
class IndexPassword:
    """The credentials of an index URL in a spec, as the build gets them."""

    index: Index
    part: str

    @property
    def value(self) -> str:
        """The user name or the password."""
        assert isinstance(self.index.credential, Credential)
        return self.index.credential.username if self.part == "username" else self.index.credential.password


Need = Secret | IndexPassword


def secret_id(secret: Secret) -> str:
    """The id a secret is mounted under: readable, and unique by key and group."""
    text = f"{secret.group}/{secret.key}" if secret.group else secret.key
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "secret"
    whole = f"{secret.group}\0{secret.key}" if secret.group else secret.key  # neither has a NUL
    return f"{slug}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def secret_mounts(secrets: tuple[Secret, ...]) -> tuple[SecretMount, ...]:
    """How a step sees the secrets it asked for: in the file it named, or in one below /run for the variable's sake."""
    return tuple(
        SecretMount(secret_id(secret), secret.mount or f"{RUN_DIR}/secrets/{secret_id(secret)}", secret.variable)
        for secret in secrets
    )


def index_name(index: Index) -> str:
    """A name for an index with credentials, which uv looks its variables up by."""
    return f"index{hashlib.sha256(index.url.encode()).hexdigest()[:8]}"


def index_mounts(options: PipOptions) -> tuple[SecretMount, ...]:
    """How a step sees the credentials of its indexes: as the variables that uv reads for a named index."""
    mounts = []
    for index in dict.fromkeys(options.indexes):
        if index.credential is not None:
            name = index_name(index)
            for part in ("username", "password"):
                target = f"{RUN_DIR}/secrets/{name}-{part}"
                mounts.append(SecretMount(f"{name}-{part}", target, f"UV_INDEX_{name.upper()}_{part.upper()}"))
    return tuple(mounts)


def needs(image: Image) -> dict[str, Need]:
    """Every secret that building an image needs, by its id.

    Raises:
        SpecError: one index has two credentials.
    """
    found: dict[str, Need] = {}

    def need(name: str, what: Need) -> None:
        if name in found and isinstance(what, IndexPassword) and found[name] != what:
            raise SpecError(
                f"the index {what.index.url} is given with two different credentials",
                hint="write its URL the same way in every layer",
            )
        found[name] = what

    for part in (image.base, *image.layers):
        options = getattr(part, "options", None)
        if isinstance(options, PipOptions):
            for secret in options.secret_mounts:
                need(secret_id(secret), secret)
            for index in options.indexes:
                if index.credential is not None:
                    need(f"{index_name(index)}-username", IndexPassword(index, "username"))
                    need(f"{index_name(index)}-password", IndexPassword(index, "password"))
        if isinstance(part, (AptPackages, Commands)):
            for secret in part.secret_mounts:
                need(secret_id(secret), secret)
    return found
