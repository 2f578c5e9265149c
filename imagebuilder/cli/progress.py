"""What all views of a build share: which view it is, what a step is called, what became of an image."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from imagebuilder.builders.events import Finished, Progress, Step
from imagebuilder.spec.base import DockerfileBase
from imagebuilder.spec.layers import Commands
from imagebuilder.spec.titles import base_title, layer_title

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagebuilder.builders.events import BuildEvent
    from imagebuilder.spec.image import Image

VIEWS = ("auto", "live", "plain", "json", "quiet")
INTERNAL_SECONDS = 2.0  # BuildKit's own steps are worth a line when they take longer
_TITLE = 100
_PROGRESS_SECONDS = 0.25  # between two events about the same bytes
_PLATFORM = re.compile(r"\[[a-z0-9]+(?:/[a-z0-9.]+)+\] ")  # as BuildKit writes it: [linux/arm64]
_INTERNAL = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"\[(?:\S+ )?internal\] load metadata for (\S+)", r"asking the registry for \1"),
        (r"\[auth\]", "asking a registry for access"),
        (r"\[(?:\S+ )?internal\] load build context", "sending files to BuildKit"),
        (r"\[(?:\S+ )?internal\]", "handing the build to BuildKit"),
        (r"resolve image config for (?:docker-image://)?(\S+)", r"asking the registry for \1"),
        (r"\[[^\]]*\] FROM (\S+)|(?:\[[^\]]*\] )?resolve (\S+)", "fetching the base image"),
        (r"\[(?:\S+ )?imagebuilder-tools ", "sending uv to BuildKit"),
        (r"\[[^\]]*\d+/\d+\] ", "a step that another build shares"),
        (r"exporting cache|preparing build cache", "exporting the build cache"),
        (r"importing cache", "importing the build cache"),
        (r"exporting|sending tarball", "taking the image from BuildKit"),
    )
)
# Escape sequences (ECMA-48) and what else would move the cursor.
_CONTROL = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])|[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]"
)


class View(Protocol):
    """Draws events; a context manager, so that it leaves the terminal as it was."""

    def __enter__(self) -> object: ...
    def __exit__(self, *_error: object) -> None: ...
    def __call__(self, event: BuildEvent) -> None: ...  # noqa: D102 - an event is drawn


class Part(NamedTuple):
    """The base or a layer; `many` where its steps are told apart by their own titles."""

    title: str
    many: bool = False


Parts = Mapping[str, tuple[Part, ...]]


def parts_of(images: Sequence[tuple[str, Image]]) -> Parts:
    """The base and the layers of each image, by the image's title."""
    return {
        title: (
            Part(base_title(image.base) if isinstance(image.base, DockerfileBase) else "base", many=True),
            *(
                Part(f"layer {number}, {layer.kind if _is_many(layer) else layer_title(layer)}", _is_many(layer))
                for number, layer in enumerate(image.layers, 1)
            ),
        )
        for title, image in images
    }


def step_title(parts: Parts, step: Step) -> str:
    """What people are told a step is: the part of the spec it belongs to."""
    own = " ".join(clean(step.title).split())
    own = own if len(own) <= _TITLE else f"{own[: _TITLE - 1]}…"
    known = parts.get(step.image, ())
    if step.layer is None:
        return _internal(own)
    if step.layer >= len(known):
        return own
    part = known[step.layer]
    platform = _PLATFORM.match(own)
    if part.many or own.startswith("make ", platform.end() if platform else 0):
        return f"{part.title}: {own}"
    return f"{part.title} {platform[0].strip()}" if platform else part.title


def _internal(name: str) -> str:
    """What BuildKit does between the steps of a spec, in words; never the text of an instruction."""
    for pattern, words in _INTERNAL:
        found = pattern.match(name)
        if found:
            return found.expand(words)
    return "working"


class Throttle:
    """Lets progress through a few times a second for each id, and what came last before the image or step is over."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._shown: dict[tuple[str, str], float] = {}
        self._kept: dict[tuple[str, str], Progress] = {}

    def __call__(self, event: BuildEvent) -> list[BuildEvent]:
        """The events to tell now."""
        match event:
            case Progress():
                key, now = (event.image, event.id), self._now()
                if now - self._shown.get(key, -_PROGRESS_SECONDS) < _PROGRESS_SECONDS:
                    self._kept[key] = event
                    return []
                self._shown[key] = now
                self._kept.pop(key, None)
                return [event]
            case Finished(image):
                return [*self._take(image, ""), event]
            case Step(image, step) if event.state != "started":
                return [*self._take(image, f"{step}/"), event]
            case _:
                return [event]

    def rest(self) -> list[BuildEvent]:
        """What was kept when everything ended."""
        kept, self._kept = list(self._kept.values()), {}
        return [*kept]

    def _take(self, image: str, prefix: str) -> list[BuildEvent]:
        return [self._kept.pop(key) for key in [*self._kept] if key[0] == image and key[1].startswith(prefix)]


def outcome(event: Finished) -> str:
    """What became of an image."""
    if event.built:
        return "built and pushed" if event.pushed else "built"
    return "exists"


def clean(line: str) -> str:
    """A line without what a terminal would act on."""
    return _CONTROL.sub("", line.expandtabs(4))


def make_view(kind: str, stream: TextIO, parts: Parts) -> View:
    """The view of a kind; `auto` is live on a terminal and plain elsewhere."""
    if kind == "auto":
        kind = "live" if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" else "plain"
    match kind:
        case "live":
            from imagebuilder.cli.progress_live import Live

            return Live(stream, parts)
        case "json":
            from imagebuilder.cli.progress_json import JsonLines

            return JsonLines(stream)
        case "quiet":
            return Quiet()
        case _:
            from imagebuilder.cli.progress_plain import Plain

            return Plain(stream, parts)


class Quiet:
    """Draws nothing."""

    def __enter__(self) -> object:
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave nothing behind."""

    def __call__(self, event: BuildEvent) -> None:
        """Draw nothing."""


def _is_many(layer: object) -> bool:
    return isinstance(layer, Commands) and len(layer.commands) > 1
