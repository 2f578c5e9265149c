"""Reads what `buildx --progress rawjson` writes, piece by piece, in whatever way it is cut."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from imagebuilder.builders.events import BuildEvent, Log, Progress, Step, Warning

_NUMBERED = re.compile(r"\[(?P<stage>[^\]]*?)(?P<number>\d+)/(?P<of>\d+)\] ")
_INTERNAL = re.compile(r"\[(internal|auth)\]|\[imagebuilder-tools ")


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
    Dockerfile of the user's) steps are shown as BuildKit names them.
    """

    def __init__(self, image: str, numbered: tuple[tuple[int, str], ...] = ()) -> None:
        self.image = image
        self.vertexes: dict[str, Vertex] = {}
        self.failed: Vertex | None = None
        self.tail = ""
        self._numbered = numbered
        self._buffer = ""
        self._decoder = json.JSONDecoder()
        self._partial: dict[str, str] = {}

    def feed(self, text: str) -> Iterator[BuildEvent]:
        """Take the next piece of output; whatever is not JSON goes to `tail`, which holds buildx's own words."""
        self._buffer += text
        while True:
            start = self._buffer.find("{")
            if start < 0:
                keep = self._buffer.rfind("\n") + 1
                self.tail, self._buffer = self.tail + self._buffer[:keep], self._buffer[keep:]
                return
            if start and self._buffer[:start].strip():
                self.tail += self._buffer[:start]
            try:
                value, end = self._decoder.raw_decode(self._buffer, start)
            except ValueError:
                self._buffer = self._buffer[start:]
                if "\n" in self._buffer and not self._buffer.startswith(('{"', "{\n")):
                    self.tail, self._buffer = self.tail + self._buffer, ""
                return
            self._buffer = self._buffer[end:]
            if isinstance(value, dict):
                yield from self._status(value)

    def close(self) -> None:
        """The output ended: what is left is buildx's own words."""
        self.tail += self._buffer
        self._buffer = ""

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
            yield Warning(self.image, _text(data.get("short")))

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
        if vertex.error:
            yield Step(self.image, key, vertex.title, "failed", vertex.layer, _seconds(vertex))
        elif vertex.completed and not was[1]:
            state = "cached" if vertex.cached else "done"
            yield Step(self.image, key, vertex.title, state, vertex.layer, _seconds(vertex))
        elif vertex.started and not was[0]:
            yield Step(self.image, key, vertex.title, "started", vertex.layer)

    def _place(self, name: str) -> tuple[int | None, str]:
        found = _NUMBERED.match(name)
        if _INTERNAL.match(name):
            return None, name
        if not found:
            return None, name
        number = int(found["number"])
        if self._numbered:
            if int(found["of"]) == len(self._numbered) and number <= len(self._numbered):
                return self._numbered[number - 1]
            return None, name
        return 0, name[found.end() :]

    def _log(self, data: dict[str, object]) -> Iterator[BuildEvent]:
        vertex = self.vertexes.get(str(data.get("vertex")))
        if vertex is None:
            return
        text = self._partial.pop(vertex.id, "") + _text(data.get("data"))
        *lines, rest = text.replace("\r\n", "\n").split("\n")
        if rest:
            self._partial[vertex.id] = rest
        for line in lines:
            shown = line.rsplit("\r", 1)[-1]
            vertex.lines.append(shown)
            del vertex.lines[:-_KEPT_LINES]
            yield Log(self.image, vertex.id, shown)

    def last_lines(self, vertex: Vertex, count: int) -> list[str]:
        """The last lines that a step wrote, a line without an end included."""
        lines = [*vertex.lines, *([self._partial[vertex.id]] if vertex.id in self._partial else [])]
        return [line for line in lines if line.strip()][-count:]


_KEPT_LINES = 200


def _items(status: dict[str, object], key: str) -> list[dict[str, object]]:
    found = status.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _text(data: object) -> str:
    try:
        return base64.b64decode(str(data or "")).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return str(data)


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
