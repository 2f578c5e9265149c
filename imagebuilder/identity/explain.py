"""Tells which part of two images differs, and why."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from imagebuilder.spec.credential import Index, mask
from imagebuilder.spec.layers import SourceFile, SourceFolder, Workdir
from imagebuilder.spec.titles import base_title, layer_title
from imagebuilder.spec.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imagebuilder.identity.labels import Recorded
    from imagebuilder.spec.image import Image

_SHOWN_FILES = 5
_LENGTH = 80  # of a shown value
_AFTER_NAME = r"[\s\[=<>!~;@/(]"  # what follows the name of a Python or Debian package
_PLAIN = ("args", "path", "dst")  # fields that a layer is all about


def explain(old: Recorded, new: Recorded, old_image: Image | None = None, new_image: Image | None = None) -> list[str]:
    """Say line by line what differs from `old` to `new`; empty when they are the same image.

    With both images it says what changed within a layer; of an image that only its labels tell about there is none.
    """
    if old.identifier == new.identifier:
        return []
    lines = []
    if old.epoch != new.epoch:
        lines.append(f"recipe epoch: {old.epoch} became {new.epoch}")
    if old.platforms != new.platforms:
        lines.append(f"platform: {_list(old.platforms)} became {_list(new.platforms)}")
    if old.lock != new.lock:
        lines.append(_lock(old.lock, new.lock))
    pair = _Pair(old, new, old_image, new_image)
    if old.parts[0] != new.parts[0]:
        lines.append(pair.changed(0, 0))
    lines += pair.layers()
    return lines or ["the identifiers were made by different rules; every recorded part is the same"]


@dataclass(frozen=True)
class _Pair:
    old: Recorded
    new: Recorded
    old_image: Image | None
    new_image: Image | None

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
        reasons = [*self._settings(before, after), *self._files(before, after)]
        if reasons:
            return f"{self._where(after)}: {', '.join(reasons)}"
        if self.old.files[before] is None or self.new.files[after] is None:
            return f"{self._where(after)}: changed (it has too many files to have their names recorded)"
        if self.old.parts[before][0] != self.new.parts[after][0]:
            return f"{self._where(after)}: was {self._old_title(before)}"
        if self._places_alone(after):
            return f"{self._where(after)}: the working directory it is relative to changed"
        return f"{self._where(after)}: {'its settings' if after else 'it'} changed"

    def _places_alone(self, after: int) -> bool:
        """Whether a layer that says and holds the same can differ by the working directory alone."""
        if self.old_image is None or self.new_image is None or not after:
            return False
        return isinstance(self.new_image.layers[after - 1], (SourceFolder, SourceFile, Workdir))

    def _settings(self, before: int, after: int) -> list[str]:
        if self.old_image is None or self.new_image is None:
            return []
        if after:
            return differences(self.old_image.layers[before - 1], self.new_image.layers[after - 1])
        old, new = self._old_title(0), self._where(0)
        return [f"was {old}"] if old != new else differences(self.old_image.base, self.new_image.base)

    def _files(self, before: int, after: int) -> list[str]:
        was, now = self.old.files[before], self.new.files[after]
        if was is None or now is None:
            return []
        paths = [path for path in sorted(was | now) if was.get(path) != now.get(path)]
        shown = [f"{path} {_how(was.get(path), now.get(path))}" for path in paths[:_SHOWN_FILES]]
        more = len(paths) - _SHOWN_FILES
        return [*shown[:-1], f"{shown[-1]}, and {more} more"] if more > 0 else shown

    def _where(self, number: int) -> str:
        title = _title(self.new, self.new_image, number)
        return f"layer {number}, {title}" if number else title

    def _old_title(self, number: int) -> str:
        return _title(self.old, self.old_image, number)


def _title(recorded: Recorded, image: Image | None, number: int) -> str:
    if image is not None:
        return layer_title(image.layers[number - 1]) if number else base_title(image.base)
    kind = recorded.parts[number][0]
    return kind if number else f"{kind} base"


def differences(old: Value, new: Value) -> list[str]:
    """What changed from one value to another of its kind, field by field; credentials are masked.

    Where files are on this machine is no difference.
    """
    found: list[str] = []
    if type(old) is not type(new):
        return found
    for name in new.fields:
        was, now = getattr(old, name), getattr(new, name)
        if was != now and name not in new.where:
            found += _changed(name, was, now)
    return found


def package_changes(was: tuple[str, ...], now: tuple[str, ...]) -> list[str]:
    """What was added, removed, or is asked for otherwise, by the packages' names."""
    return _members(_by_name(was), _by_name(now))


def _changed(name: str, was: Any, now: Any) -> list[str]:  # noqa: PLR0911 - one per kind of field
    """What became of one field."""
    match name:
        case "variables" | "labels":
            return _by_key(dict(was), dict(now))
        case "packages":
            return package_changes(was, now) or ["the order of the packages changed"]
        case "secret_mounts":
            return _members(*({f"{item.group}/{item.key}": repr(item) for item in items} for items in (was, now)))
        case "commands" if len(was) == len(now):
            return [_became("", a, b) for a, b in zip(was, now, strict=True) if a != b]
        case "commands":
            return _members(*({item: _value(item) for item in items} for items in (was, now))) or [
                "its commands changed"
            ]
        case "options":
            return differences(was, now)
        case _:
            return [_became("" if name in _PLAIN else f"{name} ", was, now)]


def _by_name(packages: tuple[str, ...]) -> dict[str, str]:
    """Packages by name, so that another version is seen to be one; by themselves where that would hide some."""
    names = {re.split(_AFTER_NAME, item, maxsplit=1)[0].lower(): mask(item) for item in packages}
    return names if len(names) == len(packages) else {item: mask(item) for item in packages}


def _by_key(was: dict[str, str], now: dict[str, str]) -> list[str]:
    return [
        _became(f"{key}: ", was[key], now[key])
        if key in was and key in now
        else (f"{key}={_value(now[key])} added" if key in now else f"{key} removed")
        for key in sorted(was | now)
        if was.get(key) != now.get(key)
    ]


def _members(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What was added, removed, or is there otherwise: what is shown of each, by what tells them apart."""
    return [
        *(f"{was[key]} became {now[key]}" for key in now if key in was and was[key] != now[key]),
        *(f"added {now[key]}" for key in now if key not in was),
        *(f"removed {was[key]}" for key in was if key not in now),
    ]


def _became(what: str, was: object, now: object) -> str:
    before, after = _value(was), _value(now)
    return f"{what}{before} became {after}" if before != after else f"{what}{after} changed in what is not shown"


def _value(value: object) -> str:
    """A value as people write it, on one line, without credentials."""
    match value:
        case None:
            return "none"
        case Index():
            return value.masked
        case tuple():
            return f"[{', '.join(map(_value, value))}]" if value else "none"
        case Value():
            return mask(repr(value))
        case str():
            text = mask(json.dumps(value, ensure_ascii=False))
        case _:
            text = mask(json.dumps(value))
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 2]}…{text[-1]}"


def _lock(was: str | None, now: str | None) -> str:
    if was is None:
        return "lock: added"
    return "lock: removed" if now is None else "lock: it pins other bases or packages"


def _how(was: str | None, now: str | None) -> str:
    if was is None:
        return "added"
    return "removed" if now is None else "changed"


def _list(platforms: tuple[str, ...]) -> str:
    return ", ".join(platforms) or "an unrecorded one"
