"""The view for logs: a line for what happened, nothing is ever drawn over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

from imagebuilder.builders.events import BuildEvent, Finished, Log, Progress, Step
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.cli.progress import INTERNAL_SECONDS, Parts, clean, outcome, step_title
from imagebuilder.cli.units import seconds, short_digest, size

if TYPE_CHECKING:
    from collections.abc import Callable

_PUSH_SECONDS = 5.0  # between lines about one upload


class Plain:
    """Writes to a stream; `now` tells the time."""

    def __init__(self, stream: TextIO, parts: Parts, now: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._parts, self._now = stream, parts, now
        self._width = max(map(len, parts), default=0)
        self._titles: dict[tuple[str, str], str] = {}
        self._told: set[tuple[str, str]] = set()
        self._pushed: dict[str, float] = {}
        self._known: set[tuple[str, str]] = set()  # steps of the spec
        self._writers: dict[str, str] = {}  # the image that tells a step's lines, by the step
        self._failed: dict[str, str] = {}  # BuildKit tries some steps again: counts where the image is not finished

    def __enter__(self) -> Plain:  # noqa: PYI034 - typing has Self from Python 3.11
        return self

    def __exit__(self, *_error: object) -> None:
        for image, text in self._failed.items():
            self._line(image, text)

    def __call__(self, event: BuildEvent) -> None:
        """Write what is worth a line."""
        match event:
            case Step():
                self._step(event)
            case Log(image, step, line):
                self._log(image, step, line)
            case Progress(image, _, title, current, total) if title.startswith("push "):
                self._push(image, current, total)
            case Progress():
                pass
            case BuildWarning(image, message):
                self._line(image, f"warning: {clean(message)}")
            case Finished():
                self._failed.pop(event.image, None)
                digest = f" ({short_digest(event.digest)})" if event.digest else ""
                took = f" in {seconds(event.seconds)}" if event.built else ""
                self._line(event.image, f"{outcome(event)}{took}: {event.uri}{digest}")

    def _step(self, step: Step) -> None:
        title = step_title(self._parts, step)
        self._titles[step.image, step.id] = title
        if step.layer is not None:
            self._known.add((step.image, step.id))
        took = step.seconds or 0.0
        match step.state:
            case "failed":
                self._failed[step.image] = f"{title}: failed after {seconds(took)}"
            case "done" | "cached" if step.layer is None and took < INTERNAL_SECONDS:
                pass
            case "done" | "cached":
                # A copied layer is two of BuildKit's steps, the files and their place in the image.
                if (step.image, title) not in self._told or took >= INTERNAL_SECONDS:
                    self._line(
                        step.image, f"{title}: {'cached' if step.state == 'cached' else f'done in {seconds(took)}'}"
                    )
                self._told.add((step.image, title))
            case "started":
                pass

    def _log(self, image: str, step: str, line: str) -> None:
        if (image, step) not in self._known:
            return
        writer = self._writers.setdefault(step, image)
        title = self._titles.pop((image, step), None)
        if title is not None:
            self._line(image, f"{title}: started" + (f", the same step as {writer}'s" if writer != image else ""))
        if writer == image:
            self._line(image, f"| {clean(line)}")

    def _push(self, image: str, current: int, total: int | None) -> None:
        now = self._now()
        if image not in self._pushed or now - self._pushed[image] >= _PUSH_SECONDS:
            of = f" of {size(total)}" if total else ""
            self._line(image, f"pushing: {size(current)}{of}" if image in self._pushed else "pushing")
            self._pushed[image] = now

    def _line(self, image: str, text: str) -> None:
        print(f"{image:{self._width}}  {text}".rstrip(), file=self._stream, flush=True)
