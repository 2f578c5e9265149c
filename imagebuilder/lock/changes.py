"""What a new lock has otherwise than the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.lock.pins import ImageLock, PlatformPins

_SHOWN = 19  # of a digest: its algorithm and twelve digits


def changes(before: ImageLock | None, after: ImageLock) -> list[str]:
    """Say line by line what is pinned otherwise; nothing where the entries pin the same."""
    if before is None:
        return []
    lines = []
    if before.base != after.base:
        lines.append(f"base {before.base} became {after.base}")
    elif before.digest != after.digest:
        lines.append(f"base {after.base}: {before.digest[:_SHOWN]} became {after.digest[:_SHOWN]}")
    if before.sdk != after.sdk:
        lines.append(f"task SDK {before.sdk[:_SHOWN] or 'none'} became {after.sdk[:_SHOWN] or 'none'}")
    known = {one.platform: one for one in before.platforms}
    for one in after.platforms:
        old = known.pop(one.platform, None)
        found = ["added"] if old is None else list(_packages(old, one))
        if found:
            lines.append(f"{one.platform}: {', '.join(found)}")
    lines += [f"{name}: removed" for name in known]
    return lines


def _packages(before: PlatformPins, after: PlatformPins) -> Iterator[str]:
    was, now = before.versions, after.versions
    for name in sorted({*was, *now}):
        if name not in was:
            yield f"added {name} {now[name]}".rstrip()
        elif name not in now:
            yield f"removed {name}"
        elif was[name] != now[name]:
            yield f"{name} {was[name]} became {now[name]}"
    if not was.keys() ^ now.keys() and was == now and before.packages != after.packages:
        yield "other files of the same versions"
    if before.bytecode != after.bytecode:
        yield f"bytecode of Python {before.bytecode or 'none'} became {after.bytecode or 'none'}"
    if before.tools != after.tools:
        yield f"what builds packages until {before.tools or 'any time'} became until {after.tools or 'any time'}"
    if before.base != after.base and was == now:
        yield "another base"
