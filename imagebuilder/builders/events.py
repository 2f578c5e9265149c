"""What happens during a build, as values: builders and the engine emit them, faces draw them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

StepState = Literal["started", "done", "cached", "failed"]


@dataclass(frozen=True)
class Step:
    """A step of an image began or ended; `layer` is the layer of the spec (0: its base), None for the rest.

    `seconds` is how long it took, where it ended.
    """

    image: str
    id: str
    title: str
    state: StepState
    layer: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Progress:
    """Bytes moved so far; `total` is None where nobody knows it."""

    image: str
    id: str
    title: str
    current: int
    total: int | None = None


@dataclass(frozen=True)
class Log:
    """A line that a step wrote, secrets masked."""

    image: str
    id: str
    line: str


@dataclass(frozen=True)
class Warning:  # noqa: A001 - the name of the design's event
    """Something the user should know that does not stop the build."""

    image: str
    message: str


@dataclass(frozen=True)
class Finished:
    """An image is done: `built` says whether it had to be made."""

    image: str
    uri: str
    digest: str | None
    built: bool
    pushed: bool
    seconds: float


BuildEvent: TypeAlias = Step | Progress | Log | Warning | Finished
Emit: TypeAlias = Callable[[BuildEvent], None]
