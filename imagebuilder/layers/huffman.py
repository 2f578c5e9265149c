"""Huffman codes as deflate has them (RFC 1951, section 3.2): lengths for frequencies, and codes for lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The order in which the lengths of the code length codes are written (section 3.2.7).
_ORDER: Final = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def code_lengths(counts: Mapping[int, int], longest: int) -> dict[int, int]:
    """How many bits each symbol's code has, at most `longest`; the shortest codes together (package-merge)."""
    symbols = sorted(symbol for symbol, count in counts.items() if count)
    if len(symbols) == 1:
        return {symbols[0]: 1}
    leaves: list[tuple[int, tuple[int, ...]]] = sorted((counts[symbol], (symbol,)) for symbol in symbols)
    packages = leaves
    for _ in range(longest - 1):
        pairs = zip(packages[::2], packages[1::2], strict=False)
        packages = sorted([*leaves, *((one + other, left + right) for (one, left), (other, right) in pairs)])
    lengths = dict.fromkeys(symbols, 0)
    for _, package in packages[: 2 * len(symbols) - 2]:
        for symbol in package:
            lengths[symbol] += 1
    return lengths


def codes(lengths: Mapping[int, int]) -> dict[int, str]:
    """The code of each symbol, as text of its bits in the order in which they are written (section 3.2.2)."""
    made: dict[int, str] = {}
    code = width = 0
    for length, symbol in sorted((length, symbol) for symbol, length in lengths.items()):
        code <<= length - width
        width = length
        made[symbol] = f"{code:0{length}b}"
        code += 1
    return made


def number(value: int, count: int) -> str:
    """A number of so many bits, lowest first, as all are written that are no codes."""
    return f"{value:0{count}b}"[::-1] if count else ""


def described(literals: Mapping[int, int], distances: Mapping[int, int]) -> str:
    """The lengths of both kinds of codes, as a block begins with (section 3.2.7)."""
    first = _listed(literals, 257)
    second = _listed(distances, 1)
    runs = _runs([*first, *second])
    counts: dict[int, int] = {}
    for symbol, _, _ in runs:
        counts[symbol] = counts.get(symbol, 0) + 1
    lengths = code_lengths(counts, 7)
    words = codes(lengths)
    most = max(4, *(place + 1 for place, symbol in enumerate(_ORDER) if symbol in lengths))
    text = [number(len(first) - 257, 5), number(len(second) - 1, 5), number(most - 4, 4)]
    text += [number(lengths.get(symbol, 0), 3) for symbol in _ORDER[:most]]
    text += [words[symbol] + number(more, width) for symbol, more, width in runs]
    return "".join(text)


def _listed(lengths: Mapping[int, int], least: int) -> list[int]:
    return [lengths.get(symbol, 0) for symbol in range(max(least, 1 + max(lengths, default=0)))]


def _runs(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Lengths, runs of one as a repetition: the symbol, a number that follows it, and how many bits that has."""
    found: list[tuple[int, int, int]] = []
    at = 0
    while at < len(lengths):
        length, end = lengths[at], at + 1
        while end < len(lengths) and lengths[end] == length:
            end += 1
        count, at = end - at, end
        if length:
            found.append((length, 0, 0))
            count -= 1
        while count >= 3:
            most = min(count, 6 if length else 138)
            if length:
                found.append((16, most - 3, 2))
            else:
                found.append((17, most - 3, 3) if most <= 10 else (18, most - 11, 7))
            count -= most
        found += [(length, 0, 0)] * count
    return found
