"""Reads what `buildx --progress rawjson` writes, piece by piece, in whatever way it is cut."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from imagebuilder.builders.events import BuildEvent, Log, Progress, Step, StepState
from imagebuilder.builders.events import Warning as BuildWarning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NUMBERED = re.compile(r"\[(?P<stage>[^\]]*?)(?P<number>\d+)/(?P<of>\d+)\] ")
_INTERNAL = re.compile(r"\[(?:internal|auth)\]|\[(?:\S+ )?imagebuilder-tools ")


@dataclass
class Vertex:
    """A node of the build graph as far as it is known."""

    id: str
    name: str
    started: str | None = None
    completed: str | None = None
    cached: bool = False
    error: str = ""
    layer: int | None = None
    title: str = ""
    lines: list[str] = field(default_factory=list)


class ProgressReader:
    """Feeds on text, gives events; remembers what failed and what it wrote.

    `numbered` says for each numbered step of the last stage which layer it is and what it shows; without it (a
    Dockerfile of the user's) steps are shown as BuildKit names them. `stages` says it of stages that run one step each.
    """

    def __init__(
        self,
        image: str,
        numbered: tuple[tuple[int, str], ...] = (),
        stages: Mapping[str, tuple[int, str]] | None = None,
    ) -> None:
        self.image = image
        self._stages = stages
        self.vertexes: dict[str, Vertex] = {}
        self.failed: Vertex | None = None
        self.tail = ""
        self._numbered = numbered
        self._rest = ""
        self._object: list[str] = []
        self._partial: dict[tuple[str, object], bytes] = {}  # by vertex and stream

    def feed(self, text: str) -> Iterator[BuildEvent]:
        """Take the next piece of output; whatever is not JSON goes to `tail`, which holds buildx's own words.

        buildx prints each status either on one line or indented, with `{` and `}` on lines of their own.
        """
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            yield from self._line(line)

    def close(self) -> None:
        """The output ended: what is left is buildx's own words."""
        for _ in self._line(self._rest):
            pass
        self.tail += "\n".join(self._object)
        self._rest, self._object = "", []

    def _line(self, line: str) -> Iterator[BuildEvent]:
        line = line.rstrip("\r")
        if self._object:
            self._object.append(line)
            if line != "}":
                return
            text, self._object = "\n".join(self._object), []
        elif line == "{":
            self._object = [line]
            return
        else:
            text = line
        try:
            status = json.loads(text) if text.startswith("{") else None
        except ValueError:
            status = None
        if isinstance(status, dict) and not _PARTS.isdisjoint(status):
            yield from self._status(status)
        elif text:
            self.tail += f"{text}\n"

    def _status(self, status: dict[str, object]) -> Iterator[BuildEvent]:
        for data in _items(status, "vertexes"):
            yield from self._vertex(data)
        for data in _items(status, "statuses"):
            vertex = self.vertexes.get(str(data.get("vertex")))
            total = data.get("total")
            if vertex is not None and total and vertex.layer is not None:
                name = str(data.get("name") or data.get("id") or "")
                current = int(str(data.get("current") or 0))
                yield Progress(self.image, f"{vertex.id}/{data.get('id')}", name, current, int(str(total)))
        for data in _items(status, "logs"):
            yield from self._log(data)
        for data in _items(status, "warnings"):
            yield BuildWarning(self.image, _bytes(data.get("short")).decode("utf-8", "replace"))

    def _vertex(self, data: dict[str, object]) -> Iterator[BuildEvent]:
        key, name = str(data.get("digest")), str(data.get("name") or "")
        vertex = self.vertexes.setdefault(key, Vertex(key, name))
        if not vertex.title:
            vertex.layer, vertex.title = self._place(name)
        was = (vertex.started, vertex.completed, vertex.error)
        vertex.started = vertex.started or _optional(data.get("started"))
        vertex.completed = _optional(data.get("completed")) or vertex.completed
        vertex.cached = vertex.cached or bool(data.get("cached"))
        vertex.error = str(data.get("error") or "") or vertex.error
        if vertex.error and "context canceled" not in vertex.error and self.failed is None:
            self.failed = vertex
        if was == (vertex.started, vertex.completed, vertex.error):
            return
        if vertex.completed or vertex.error:
            yield from self._unfinished(vertex)
        if vertex.error:
            yield Step(self.image, key, vertex.title, "failed", vertex.layer, _seconds(vertex))
        elif vertex.completed and not was[1]:
            state: StepState = "cached" if vertex.cached else "done"
            yield Step(self.image, key, vertex.title, state, vertex.layer, _seconds(vertex))
        elif vertex.started and not was[0]:
            yield Step(self.image, key, vertex.title, "started", vertex.layer)

    def _place(self, name: str) -> tuple[int | None, str]:
        found = _NUMBERED.match(name)
        if _INTERNAL.match(name) or not found:
            return None, name
        number = int(found["number"])
        if self._stages is not None:
            words = found["stage"].split()
            layer, title = self._stages.get(words[-1] if words else "", (None, name))
            return (layer, title) if name[found.end() :].startswith("RUN") else (None, name)
        if self._numbered:
            # A step that builds share has the name the first of them gave it, whose count of steps may be another;
            # the last stage, which has no name in a spec's Dockerfile, is `stage-1` or nothing, after the platform.
            words = found["stage"].split()
            unnamed = not words or "/" in words[-1] or words[-1].startswith("stage-")
            if not unnamed or number > len(self._numbered):
                return None, name
            of_step, shown = self._numbered[number - 1]
            return of_step, f"[{words[0]}] {shown}" if words and "/" in words[0] else shown
        return 0, name[found.end() :]

    def _log(self, data: dict[str, object]) -> Iterator[BuildEvent]:
        vertex = self.vertexes.get(str(data.get("vertex")))
        if vertex is None:
            return
        key = (vertex.id, data.get("stream"))
        *lines, rest = (self._partial.pop(key, b"") + _bytes(data.get("data"))).split(b"\n")
        if rest:
            # A line that is written over and over is what was written last; its end may be half of "\r\n".
            self._partial[key] = rest[rest.rfind(b"\r", 0, -1) + 1 :]
        for line in lines:
            yield self._written(vertex, line)

    def _unfinished(self, vertex: Vertex) -> Iterator[Log]:
        for key in [key for key in self._partial if key[0] == vertex.id]:
            yield self._written(vertex, self._partial.pop(key))

    def _written(self, vertex: Vertex, line: bytes) -> Log:
        shown = line.removesuffix(b"\r").rsplit(b"\r", 1)[-1].decode("utf-8", "replace")
        vertex.lines.append(shown)
        del vertex.lines[:-_KEPT_LINES]
        return Log(self.image, vertex.id, shown)

    def last_lines(self, vertex: Vertex, count: int) -> list[str]:
        """The last lines that a step wrote, a line without an end included."""
        list(self._unfinished(vertex))
        return [line for line in vertex.lines if line.strip()][-count:]


_KEPT_LINES = 200
_PARTS = frozenset(("vertexes", "statuses", "logs", "warnings"))


def _items(status: dict[str, object], key: str) -> list[dict[str, object]]:
    found = status.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _bytes(data: object) -> bytes:
    try:
        return base64.b64decode(str(data or ""))
    except (binascii.Error, ValueError):
        return str(data).encode()


def _optional(value: object) -> str | None:
    return str(value) if value else None


def _seconds(vertex: Vertex) -> float | None:
    if not vertex.started or not vertex.completed:
        return None
    return max(0.0, (_time(vertex.completed) - _time(vertex.started)).total_seconds())


def _time(text: str) -> datetime:
    # RFC 3339 with nanoseconds, which fromisoformat does not take before Python 3.11.
    whole = re.sub(r"\.(\d{1,6})\d*", lambda found: f".{found[1]:0<6}", text).replace("Z", "+00:00")
    return datetime.fromisoformat(whole)
