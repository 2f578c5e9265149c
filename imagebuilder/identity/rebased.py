"""What an image's identifier becomes on another base."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imagebuilder.identity.canonical import canonical_reference
from imagebuilder.identity.identifier import identifier_of, reference_part

if TYPE_CHECKING:
    from imagebuilder.identity.labels import Recorded


def rebased(recorded: Recorded, old_base: str, new_base: str) -> Recorded | None:
    """What a spec with the new base would record; None where no spec does.

    A spec that names its base may name another. One that leaves the base to the epoch has that base alone: only what
    the name points to may move.
    """
    (kind, base), *layers = recorded.parts
    digests = [digest for _, digest in recorded.parts]
    if identifier_of(recorded.epoch, recorded.platforms, digests) != recorded.identifier:
        return None  # a lock counts too, which pins the base
    if base == reference_part(old_base):
        parts = ((kind, reference_part(new_base)), *layers)
        text = identifier_of(recorded.epoch, recorded.platforms, [digest for _, digest in parts])
        return replace(recorded, identifier=text, parts=parts)
    return recorded if canonical_reference(old_base) == canonical_reference(new_base) else None
