"""The view for people at a terminal: a line for each image under way, the last words of its step below."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from imagebuilder.builders.events import BuildEvent, Finished, Log, Progress, Step
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.cli.progress import INTERNAL_SECONDS, Parts, clean, outcome, step_title
from imagebuilder.cli.units import seconds, short_digest, size
from imagebuilder.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType
    from rich.live import Live as RichLive
    from rich.text import Text

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PER_SECOND = 10
_LINES = 3  # of a step's output
_NAME = 28  # columns a name may take
_DELAY = 0.4  # seconds before anything is drawn: what is done by then needs no spinner


@dataclass
class _Row:
    """An image under way: its running steps by id with their titles and beginnings, the newest last."""

    began: float
    since: float  # when a step last began or ended
    running: dict[str, tuple[str, float, bool]] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    push: tuple[int, int | None] | None = None
    exported: bool = False  # BuildKit has done its part
    failed: str = ""  # BuildKit tries some steps again, so that this counts only where the image is not finished


class Live:
    """Draws on a terminal; `now` tells the time."""

    def __init__(self, stream: TextIO, parts: Parts, now: Callable[[], float] = time.monotonic) -> None:
        try:
            from rich.console import Console
        except ImportError:
            raise MissingDependencyError(
                "the live view needs rich, which is not installed",
                hint='run pip install "imagebuilder[engine]", or use --progress plain',
            ) from None
        self._parts, self._now = parts, now
        self._console: Console = Console(file=stream, highlight=False, soft_wrap=False)
        self._rows: dict[str, _Row] = {}
        self._writers: dict[str, str] = {}  # the image that shows a step's lines, by the step
        self._done = 0
        self._live: RichLive | None = None
        self._began = now()
        self._lock = threading.Lock()
        self._timer = threading.Timer(_DELAY, self._start)
        self._timer.daemon = True
        self._closed = False

    def __enter__(self) -> Live:  # noqa: PYI034 - typing has Self from Python 3.11
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._closed = True
        unfinished, self._rows = self._rows, {}
        if self._live is not None:
            self._live.stop()
        for name, row in unfinished.items():
            mark, style = ("✗ ", "red") if row.failed else ("- ", "yellow")
            text = self._text(mark, style, name, row.failed or "not finished")
            text.truncate(self._console.width, overflow="ellipsis")  # the error tells it all
            self._console.print(text)

    def __call__(self, event: BuildEvent) -> None:
        """Take an event in; what is over leaves a line."""
        match event:
            case Step():
                self._step(event)
            case Log(image, step, line):
                row = self._row(image)
                shown = clean(line).rstrip()
                if shown and self._writers.setdefault(step, image) == image:
                    row.lines = (*row.lines, shown)[-_LINES:]
            case Progress(image, _, title, current, total):
                if title.startswith("push "):
                    self._row(image).push = (current, total)
            case BuildWarning(image, message):
                self._console.print(self._text("! ", "yellow", image, f"warning: {clean(message)}"))
            case Finished():
                self._finished(event)

    def _row(self, image: str) -> _Row:
        if image not in self._rows:
            self._rows[image] = _Row(self._now(), self._now())
        return self._rows[image]

    def _step(self, step: Step) -> None:
        row = self._row(step.image)
        title = step_title(self._parts, step)
        row.since = self._now()
        if step.state == "started":
            row.running = {**row.running, step.id: (title, self._now(), step.layer is not None)}
            row.lines = ()
            return
        row.running = {key: value for key, value in row.running.items() if key != step.id}
        row.exported = row.exported or step.title.startswith("exporting to")
        if step.state == "failed":
            row.failed = f"{title}: failed after {seconds(step.seconds or 0.0)}"

    def _finished(self, event: Finished) -> None:
        row = self._rows.pop(event.image, None)
        self._done += 1
        words = outcome(event)
        if event.built:
            words += f" in {seconds(event.seconds)}"
        if row is not None and row.push is not None and row.push[0]:
            words += f", {size(row.push[0])} sent"
        digest = short_digest(event.digest) if event.digest else ""
        text = self._text("✓ ", "green", event.image, words)
        room = self._console.width - text.cell_len - 2
        # The whole of it is printed when all is done; here it is for people who look where their image went.
        found = next((place for place in (event.uri, _tail(event.uri), digest) if place and len(place) <= room), "")
        self._console.print(text.append(f"  {found}") if found else text)

    def _start(self) -> None:
        from rich.live import Live as RichLive

        with self._lock:
            if self._closed:
                return
            self._live = RichLive(
                get_renderable=self.draw,
                console=self._console,
                refresh_per_second=_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def draw(self) -> RenderableType:
        """What is under way now; called from the thread that refreshes."""
        from rich.console import Group
        from rich.text import Text

        now, width = self._now(), self._console.width
        spinner = _SPINNER[int(now * _PER_SECOND) % len(_SPINNER)]
        rows = list(self._rows.items())
        total = len(self._parts)
        lines: list[Text] = []
        if not rows and self._done < total:
            left = total - self._done
            images = "1 image" if left == 1 else f"{left} images"
            # The first word about any image comes after the registries have answered for all.
            doing = f"waiting for BuildKit: {images}" if self._done else f"identifying {images}, asking registries"
            lines.append(_fit(f"{spinner} ", "cyan", doing, seconds(now - self._began), width))
        column = self._column()
        for name, row in rows:
            title = _cut(name, column)
            words, since = self._doing(row, now)
            lines.append(_fit(f"{spinner} ", "cyan", f"{title:{column}}  {words}", seconds(now - since), width))
            lines += [Text(_cut(f"    {line}", width), style="dim", no_wrap=True) for line in row.lines]
        if rows and total > 1:
            took = seconds(now - self._began)
            lines.append(Text(_cut(f"  {self._done} of {total} images done, {took}", width), style="dim", no_wrap=True))
        return Group(*lines)

    def _column(self) -> int:
        """How many columns names take."""
        return min(_NAME, max(map(len, self._parts), default=0), max(8, self._console.width // 3))

    def _doing(self, row: _Row, now: float) -> tuple[str, float]:
        """What an image's line says, and since when it does."""
        if row.push is not None:
            current, total = row.push
            return f"pushing {size(current)}" + (f" of {size(total)}" if total else ""), row.began
        known = [(title, began) for title, began, ours in row.running.values() if ours]
        others = [(title, began) for title, began, ours in row.running.values() if not ours]
        shown = known + [item for item in others if now - item[1] >= INTERNAL_SECONDS] or others[-1:]
        if not shown:
            return ("packing its layers" if row.exported else "waiting for BuildKit"), row.since
        title, began = shown[-1]
        return (f"{title} (and {len(shown) - 1} more)" if len(shown) > 1 else title), began

    def _text(self, mark: str, style: str, name: str, words: str) -> Text:
        from rich.text import Text

        text = Text()
        text.append(mark, style=style)
        text.append(_cut(name, self._column()), style="bold")
        text.append(f"  {words}")
        return text


def _fit(mark: str, style: str, words: str, right: str, width: int) -> Text:
    """One line with words on the left, cut where they do not fit, and the time on the right."""
    from rich.text import Text

    room = max(0, width - len(mark) - len(right) - 2)
    text = Text(no_wrap=True)
    text.append(mark, style=style)
    text.append(_cut(words, room).ljust(room))
    text.append(f" {right}", style="dim")
    return text


def _tail(uri: str) -> str:
    """Name and tag, without the registry."""
    return f"…/{uri.rpartition('/')[2]}" if "/" in uri else uri


def _cut(words: str, width: int) -> str:
    """Words in at most so many columns; wide characters count as rich counts them."""
    from rich.cells import cell_len, set_cell_size

    return words if cell_len(words) <= width else f"{set_cell_size(words, max(0, width - 1)).rstrip()}…"
