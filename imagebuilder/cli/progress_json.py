"""The view for machines: one JSON object per event and line."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from imagebuilder.builders.events import BuildEvent


class JsonLines:
    """Writes `{"event": "step", ...}` with the fields of the event."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> JsonLines:  # noqa: PYI034 - typing has Self from Python 3.11
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave nothing behind."""

    def __call__(self, event: BuildEvent) -> None:
        """Write one line."""
        document = {"event": type(event).__name__.lower(), **asdict(event)}
        print(json.dumps(document, ensure_ascii=True), file=self._stream, flush=True)
