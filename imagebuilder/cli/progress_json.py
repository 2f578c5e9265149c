"""The view for machines: one JSON object per event and line."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from imagebuilder.cli.progress import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imagebuilder.builders.events import BuildEvent


class JsonLines:
    """Writes `{"event": "step", ...}` with the fields of the event; `now` tells the time."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._throttle = stream, Throttle(now)

    def __enter__(self) -> JsonLines:  # noqa: PYI034 - typing has Self from Python 3.11
        return self

    def __exit__(self, *_error: object) -> None:
        self._write(self._throttle.rest())

    def __call__(self, event: BuildEvent) -> None:
        """Write one line, or a few: progress is told at most four times a second."""
        self._write(self._throttle(event))

    def _write(self, events: Iterable[BuildEvent]) -> None:
        for event in events:
            document = {"event": type(event).__name__.lower(), **asdict(event)}
            print(json.dumps(document, ensure_ascii=True), file=self._stream, flush=True)
