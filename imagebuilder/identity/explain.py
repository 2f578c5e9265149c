"""Tells which part of two images differs, and why."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.identity.labels import Recorded

_SHOWN_FILES = 5


def explain(
    old: Recorded, new: Recorded, old_titles: tuple[str, ...] | None = None, new_titles: tuple[str, ...] | None = None
) -> list[str]:
    """Say line by line what differs from `old` to `new`; empty when they are the same image.

    Titles are what people call the parts: the base first, then layers from 1. An image that only its labels tell
    about has none.
    """
    if old.identifier == new.identifier:
        return []
    lines = []
    if old.epoch != new.epoch:
        lines.append(f"recipe epoch: {old.epoch} became {new.epoch}")
    if old.platforms != new.platforms:
        lines.append(f"platform: {_list(old.platforms)} became {_list(new.platforms)}")
    pair = _Pair(old, new, old_titles, new_titles)
    if old.parts[0] != new.parts[0]:
        lines.append(pair.changed(0, 0))
    lines += pair.layers()
    return lines or ["the identifiers were made by different rules; every recorded part is the same"]


@dataclass(frozen=True)
class _Pair:
    old: Recorded
    new: Recorded
    old_titles: tuple[str, ...] | None
    new_titles: tuple[str, ...] | None

    def layers(self) -> Iterator[str]:
        matcher = SequenceMatcher(None, self.old.parts[1:], self.new.parts[1:], autojunk=False)
        blocks = [
            (list(range(a1 + 1, a2 + 1)), list(range(b1 + 1, b2 + 1)))
            for tag, a1, a2, b1, b2 in matcher.get_opcodes()
            if tag != "equal"
        ]
        moved = self._moved([n for olds, _ in blocks for n in olds], [n for _, news in blocks for n in news])
        for olds, news in blocks:
            gone = [number for number in olds if number not in moved.values()]
            for number in news:
                if number in moved:
                    yield f"{self._where(number)}: moved, it was layer {moved[number]}"
                    continue
                same_kind = [n for n in gone if self.old.parts[n][0] == self.new.parts[number][0]]
                if not same_kind:
                    yield f"{self._where(number)}: added"
                    continue
                yield self.changed(same_kind[0], number)
                gone.remove(same_kind[0])
            yield from (f"layer {number}, {self._old_title(number)}: removed" for number in gone)

    def _moved(self, olds: list[int], news: list[int]) -> dict[int, int]:
        moved: dict[int, int] = {}
        for number in news:
            before = next((n for n in olds if self.old.parts[n] == self.new.parts[number]), None)
            if before is not None:
                moved[number] = before
                olds.remove(before)
        return moved

    def changed(self, before: int, after: int) -> str:
        where = self._where(after)
        was, now = self.old.files[before], self.new.files[after]
        if was is None or now is None:
            return f"{where}: changed (it has too many files to have their names recorded)"
        paths = [path for path in sorted(was | now) if was.get(path) != now.get(path)]
        if paths:
            more = f", and {len(paths) - _SHOWN_FILES} more" if len(paths) > _SHOWN_FILES else ""
            shown = (f"{path} {_how(was.get(path), now.get(path))}" for path in paths[:_SHOWN_FILES])
            return f"{where}: {', '.join(shown)}{more}"
        if self.old_titles and self.new_titles and self.old_titles[before] != self.new_titles[after]:
            return f"{where}: was {self.old_titles[before]}"
        if self.old.parts[before][0] != self.new.parts[after][0]:
            return f"{where}: was {self._old_title(before)}"
        return f"{where}: {'its settings' if after else 'it'} changed"

    def _where(self, number: int) -> str:
        title = self.new_titles[number] if self.new_titles else _title(self.new, number)
        return f"layer {number}, {title}" if number else title

    def _old_title(self, number: int) -> str:
        return self.old_titles[number] if self.old_titles else _title(self.old, number)


def _title(recorded: Recorded, number: int) -> str:
    kind = recorded.parts[number][0]
    return kind if number else f"{kind} base"


def _how(was: str | None, now: str | None) -> str:
    if was is None:
        return "added"
    return "removed" if now is None else "changed"


def _list(platforms: tuple[str, ...]) -> str:
    return ", ".join(platforms) or "an unrecorded one"
