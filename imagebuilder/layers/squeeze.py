"""Compresses in Python alone: the same bytes on every machine, a third of the size, a few megabytes in a second.

For what many images share and nobody compressed before; zlib's bytes depend on its version and on who built it.
Matches are those with the last place that began with the same four bytes, taken as they come (RFC 1951, section 4).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

from imagebuilder.layers.deflate import GZIP_HEADER, LENGTH_CODES, gzip_trailer
from imagebuilder.layers.fast_zlib import crc32
from imagebuilder.layers.huffman import code_lengths, codes, described, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WINDOW: Final = 32 << 10
_LONGEST: Final = 258
_FIRST: Final = 24  # most matches are shorter, and comparing less is quicker
_MATCHES: Final = 1 << 14  # in a block: enough to pay for its codes, few enough that these fit
_END: Final = 256


# Bytes from a place to another stand for themselves; then comes a match of a length, so far before.
_Match: TypeAlias = tuple[int, int, int, int]


def squeezed_member(data: bytes) -> bytes:
    """A gzip member of some bytes; they should be many."""
    return GZIP_HEADER + squeezed(data) + gzip_trailer(crc32(data), len(data))


def squeezed(data: bytes) -> bytes:
    """A raw deflate stream of some bytes."""
    found = list(_matches(data))
    blocks = [found[start : start + _MATCHES] for start in range(0, len(found), _MATCHES)]
    text = "".join(_block(data, block, last=block is blocks[-1]) for block in blocks)
    return int(text[::-1], 2).to_bytes((len(text) + 7) // 8, "little")


def _matches(data: bytes) -> Iterator[_Match]:
    """How to say data by what was said before; the last has no length."""
    last: dict[bytes, int] = {}
    at = literals = 0
    end = len(data) - 4
    while at <= end:
        key = data[at : at + 4]
        before = last.get(key)
        last[key] = at
        if before is None or at - before > _WINDOW:
            at += 1
            continue
        length = 4 + _alike(data, before + 4, at + 4)
        yield literals, at, length, at - before
        literals = at + length
        last[data[at + 1 : at + 5]] = at + 1
        last[data[literals - 1 : literals + 3]] = literals - 1
        at = literals
    yield literals, len(data), 0, 0


def _alike(data: bytes, before: int, at: int) -> int:
    """How many bytes are the same from two places on, as far as a match may reach."""
    here = data[at : at + _FIRST]
    there = data[before : before + len(here)]
    if here != there:
        differing = int.from_bytes(here, "little") ^ int.from_bytes(there, "little")
        return ((differing & -differing).bit_length() - 1) // 8
    here = data[at : at + _LONGEST - 4]
    there = data[before : before + len(here)]
    differing = int.from_bytes(here, "little") ^ int.from_bytes(there, "little")
    return ((differing & -differing).bit_length() - 1) // 8 if differing else len(here)


def _block(data: bytes, matches: Sequence[_Match], *, last: bool) -> str:
    """A block with codes of its own, as text of its bits."""
    runs = [data[start:end] for start, end, _, _ in matches]
    lengths = Counter(length for _, _, length, _ in matches if length)
    distances = Counter(distance for _, _, _, distance in matches if distance)
    counts = Counter(b"".join(runs))
    counts[_END] = 1
    for length, count in lengths.items():
        counts[LENGTH_CODES[length][0]] += count
    places: Counter[int] = Counter()
    for distance, count in distances.items():
        places[_distance(distance)[0]] += count
    bits, far = code_lengths(counts, 15), code_lengths(places, 15) if places else {0: 1}
    words, place_words = codes(bits), codes(far)
    byte = [words.get(value, "") for value in range(256)].__getitem__
    said = {0: ""} | {length: _said(words, LENGTH_CODES[length], length) for length in lengths}
    behind = {0: ""} | {distance: _said(place_words, _distance(distance), distance) for distance in distances}
    text = [f"{last:b}01", described(bits, far)]
    for run, (_, _, length, distance) in zip(runs, matches, strict=True):
        text += map(byte, run)
        text += said[length], behind[distance]
    text.append(words[_END])
    return "".join(text)


def _said(words: dict[int, str], code: tuple[int, int, int], value: int) -> str:
    symbol, least, extra = code
    return words[symbol] + number(value - least, extra)


def _distance(distance: int) -> tuple[int, int, int]:
    """The code of a distance, the least that has it, and how many bits tell the rest (RFC 1951, section 3.2.5)."""
    if distance <= 4:
        return distance - 1, distance, 0
    extra = (distance - 1).bit_length() - 2
    high = (distance - 1) >> extra
    return 2 * extra + high, (high << extra) + 1, extra
