"""What all views of a build share: which view it is, what a step is called, what became of an image."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from imagebuilder.spec.base import DockerfileBase
from imagebuilder.spec.layers import Commands
from imagebuilder.spec.titles import base_title, layer_title

if TYPE_CHECKING:
    from imagebuilder.builders.events import BuildEvent, Finished, Step
    from imagebuilder.spec.image import Image

VIEWS = ("auto", "live", "plain", "json", "quiet")
INTERNAL_SECONDS = 2.0  # BuildKit's own steps are worth a line when they take longer
_TITLE = 100
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
    if step.layer is None or step.layer >= len(known):
        return own
    part = known[step.layer]
    return f"{part.title}: {own}" if part.many else part.title


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
