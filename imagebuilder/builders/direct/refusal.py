"""What the direct builder leaves to another."""

from __future__ import annotations

from imagebuilder.errors import WorkError


class NotDirectError(WorkError):
    """An image cannot be assembled from files alone; another builder can make it."""
