"""What the task SDK asks of this engine; it finds these functions by the entry points of this distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.api import build
from imagebuilder.config import load
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from imagebuilder.spec.image import Image
    from imagebuilder.spec.secret import Secret


def reference(image: Image) -> str:
    """Make the image be there; its reference, with the digest where a registry has it."""
    (result,) = build(image)
    first = result.uri.partition("/")[0]
    if result.digest is None or Reference.parse(result.uri).registry != first:
        return result.uri
    return f"{result.uri}@{result.digest}"


def secret_value(secret: Secret) -> str | None:
    """The value that the configuration's rules give a secret; None where there is no rule for it.

    Raises:
        SecretError: the rule leads to no value.
    """
    from imagebuilder.vault import Vault

    config = load()
    name = f"{secret.group}/{secret.key}" if secret.group else secret.key
    if not {secret.key, name} & config.secrets.keys():
        return None
    return Vault(config.environ, config.secrets).value(secret)
