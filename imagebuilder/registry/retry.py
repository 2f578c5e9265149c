"""When a failed request is sent again: pure decisions."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TypeAlias

from imagebuilder.spec.value import Value

# 501 and 505 will not change; 500 is what several registries answer under load.
STATUSES = frozenset({408, 429, 500, 502, 503, 504})
LONGEST_WAIT = 60.0
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0

# Compiled when first needed.
_SECONDS = r"[0-9]+(?:\.[0-9]+)?"
_GO_DURATION = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)"
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Wait(Value):
    """Try again after so many seconds; `shared` where every request to that host has to wait."""

    seconds: float
    shared: bool = False


class GiveUp(Value):
    """Do not try again."""

    reason: str
    rate_limited: bool = False


Decision: TypeAlias = Wait | GiveUp


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait: a number, an HTTP date (RFC 9110 section 10.2.3), or a Go duration such as `880µs`.

    `now` is the time since the epoch; None where the header is missing or means nothing.
    """
    if not value:
        return None
    value = value.strip()
    with suppress(UnicodeEncodeError, UnicodeDecodeError):  # heads are read as latin-1, a µ comes as UTF-8
        value = value.encode("latin-1").decode("utf-8")
    if re.fullmatch(_SECONDS, value):
        return float(value)
    parts = re.findall(_GO_DURATION, value)
    if parts and "".join(parts) == value:
        return sum(_go_seconds(part) for part in parts)
    return _until_date(value, now)


def decide(
    *, attempt: int, attempts: int, left: float, retry_after: float | None = None, status: int | None = None
) -> Decision:
    """What to do after the `attempt`-th failure (from 1), with `left` seconds for the whole operation."""
    limited = status == 429
    pause = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE) if retry_after is None else retry_after
    if retry_after is not None and (retry_after > LONGEST_WAIT or retry_after >= left):
        why = "too long" if retry_after > LONGEST_WAIT else "and the time for this operation is over"
        return GiveUp(f"it asks to wait {duration(retry_after)}, {why}", rate_limited=limited)
    if pause >= left:
        return GiveUp("the time for this operation is over", rate_limited=limited)
    # A long wait that was asked for is no failed attempt: time alone limits those.
    if attempt >= attempts and (retry_after is None or retry_after < _FIRST_PAUSE):
        return GiveUp(f"{attempt} attempts failed", rate_limited=limited)
    return Wait(pause, shared=limited or retry_after is not None)


def duration(seconds: float) -> str:
    """A length of time for people: `6h`, `1m 30s`, `0.2s`."""
    if seconds < 60:
        return f"{seconds:.3g}s"
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return " ".join(f"{count}{unit}" for count, unit in parts if count)


def _go_seconds(part: str) -> float:
    number = part.rstrip("nuµμmsh")
    return float(number) * _UNITS[part[len(number) :]]


def _until_date(value: str, now: float) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
