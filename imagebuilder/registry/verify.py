"""After a push: is what the registry has what was pushed?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.errors import VerificationError
from imagebuilder.registry.checker import judge_manifest
from imagebuilder.registry.verdict import Absent, Present

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.registry.client import Client
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference


def verify_pushed(client: Client, ref: Reference, digest: str, platforms: Sequence[Platform] = ()) -> Present:
    """Read an image back from the registry itself, no mirror, and compare digest and platforms.

    Raises:
        VerificationError: it is not there, is another, or lacks a platform.
        RegistryError: the registry could not say.
    """
    hint = "somebody else may push to this tag, or the registry lost it; push again"
    manifest = client.find_manifest(ref, mirrors=False)
    if manifest is None:
        raise VerificationError(f"{ref} was pushed, and now {ref.registry} says that it does not exist", hint=hint)
    if manifest.digest != digest:
        raise VerificationError(f"{ref} was pushed as {digest}, and now is {manifest.digest}", hint=hint)
    verdict = judge_manifest(client, ref, manifest, tuple(platforms))
    if isinstance(verdict, Absent):
        raise VerificationError(verdict.reason, hint="the image that was pushed is not for all platforms asked for")
    return verdict
