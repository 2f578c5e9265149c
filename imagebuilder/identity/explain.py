"""Tells which part of two images differs, and why."""

from __future__ import annotations

from difflib import SequenceMatcher

from imagebuilder.identity.labels import Recorded

_SHOWN_FILES = 5


def explain(old: Recorded, new: Recorded, old_titles: tuple[str, ...], new_titles: tuple[str, ...]) -> list[str]:
    """Say line by line what differs from `old` to `new`; empty when they are the same image.

    Titles are what people call the parts: the base first, then layers from 1.
    """
    if old.identifier == new.identifier:
        return []
    lines = []
    if old.epoch != new.epoch:
        lines.append(f"recipe epoch: {old.epoch} became {new.epoch}")
    if old.parts[0] != new.parts[0]:
        lines.append(_changed(0, old, new, old_titles[0], new_titles[0], 0))
    matcher = SequenceMatcher(None, old.parts[1:], new.parts[1:], autojunk=False)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if tag == "equal":
            continue
        olds, news = list(range(a1 + 1, a2 + 1)), list(range(b1 + 1, b2 + 1))
        while olds and news:
            before = olds.pop(0)
            after = next((n for n in news if new.parts[n][0] == old.parts[before][0]), None)
            if after is None:
                lines.append(f"layer {before}, {old_titles[before]}: removed")
                continue
            while news[0] != after:
                added = news.pop(0)
                lines.append(f"layer {added}, {new_titles[added]}: added")
            news.pop(0)
            lines.append(_changed(before, old, new, old_titles[before], new_titles[after], after))
        lines += [f"layer {number}, {old_titles[number]}: removed" for number in olds]
        lines += [f"layer {number}, {new_titles[number]}: added" for number in news]
    return lines or ["platform: the images are for different platforms"]


def _changed(before: int, old: Recorded, new: Recorded, old_title: str, new_title: str, after: int) -> str:
    where = f"layer {after}, {new_title}" if after else new_title
    was, now = old.files[before], new.files[after]
    if was is None or now is None:
        return f"{where}: it or its files changed (too many files to name which)"
    changes = [f"{path} {_how(was.get(path), now.get(path))}" for path in sorted(was | now) if was.get(path) != now.get(path)]
    if changes:
        more = f", and {len(changes) - _SHOWN_FILES} more" if len(changes) > _SHOWN_FILES else ""
        return f"{where}: {', '.join(changes[:_SHOWN_FILES])}{more}"
    if old_title != new_title:
        return f"{where}: was {old_title}"
    return f"{where}: its settings changed"


def _how(was: str | None, now: str | None) -> str:
    if was is None:
        return "added"
    return "removed" if now is None else "changed"
