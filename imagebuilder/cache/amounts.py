"""Sizes and ages as people write them."""

from __future__ import annotations

import re
from typing import Final

from imagebuilder.errors import ConfigError

_SIZES: Final = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_AGES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_size(text: str, where: str) -> int:
    """Bytes, of `10GB`, `1.5 GiB` or `500000000`; `where` is what messages call it.

    Raises:
        ConfigError: it is no size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text, re.ASCII)
    unit = _SIZES.get((found[2] or "B").upper()) if found else None
    if found is None or unit is None:
        raise ConfigError(f"{where} is {text!r}, which is no size", hint="write 10GB, 500MB or 2GiB")
    return int(float(found[1]) * unit)


def parse_age(text: str, where: str) -> float:
    """Seconds, of `30d`, `12h`, `45m` or `2w`.

    Raises:
        ConfigError: it is no age.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", text, re.ASCII)
    if found is None:
        raise ConfigError(f"{where} is {text!r}, which is no time", hint="write 30d, 12h, 45m or 2w")
    return float(found[1]) * _AGES[found[2]]
