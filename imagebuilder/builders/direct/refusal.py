"""What the direct builder leaves to another."""

from __future__ import annotations

from imagebuilder.errors import WorkError


class NotDirectError(WorkError):
    """An image cannot be assembled from files alone; another builder can make it.

    `layer` is the last one that keeps it from being, None where all of them do: what comes after it may still be
    assembled on top.
    """

    def __init__(self, message: str, *, hint: str | None = None, layer: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.layer = layer
