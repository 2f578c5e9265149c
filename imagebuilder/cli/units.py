"""Durations and sizes as people read them."""

from __future__ import annotations


def seconds(value: float) -> str:
    """`0.3 s`, `12 s`, `2 min 05 s`."""
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"


def age(value: float) -> str:
    """How long ago something was: `now`, `5 min ago`, `3 h ago`, `12 d ago`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if value >= length:
            return f"{int(value // length)} {unit} ago"
    return "now"


def size(count: int) -> str:
    """`512 B`, `3.4 MB`: decimal, as registries and disks count."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5 or unit == "GB":
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def short_digest(digest: str) -> str:
    """The algorithm and the first twelve digits."""
    algorithm, _, rest = digest.partition(":")
    return f"{algorithm}:{rest[:12]}"
