from __future__ import annotations

import gzip
import hashlib
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.layers import fast_zlib
from imagebuilder.layers.huffman import code_lengths, codes
from imagebuilder.layers.squeeze import squeezed, squeezed_member

words = st.sampled_from([b"def ", b"return ", b"self.", b"\0" * 40, b"value = ", b"\n", b"x" * 300])


@given(st.lists(st.one_of(words, st.binary(max_size=300), st.integers(0, 70_000).map(bytes))))
def test_what_is_squeezed_inflates_to_the_same(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert zlib.decompress(squeezed(data), -15) == data
    assert gzip.decompress(squeezed_member(data)) == data
    assert fast_zlib.inflater(-15).decompress(squeezed(data), len(data) + 1) == data


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 8, 23, 24, 25, 28, 257, 258, 259, 262, 263, 516, 40_000])
@pytest.mark.parametrize("period", [1, 3, 4, 7, 32_767, 32_768, 32_769])
def test_matches_of_every_length_and_distance(size: int, period: int) -> None:
    once = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(period // 32 + 1))[:period]
    data = (once * (size // period + 2))[: period + size]
    assert zlib.decompress(squeezed(data), -15) == data


def code_of(count: int) -> bytes:
    lines = (
        b"    def method_%d(self, value: int = %d) -> None:\n        self.kept = value + %d\n"
        % (number, number * 7, number)
        for number in range(count)
    )
    return b"class Sample:\n" + b"".join(lines)


def test_squeezed_text_is_small_and_always_the_same_bytes() -> None:
    data = code_of(9000)
    packed = squeezed(data)
    assert zlib.decompress(packed, -15) == data
    assert len(packed) < 1.2 * len(zlib.compress(data, 1))
    assert hashlib.sha256(packed).hexdigest() == "1ad9c4ec4ad9ad060f8678f46f41bec57637fce0ddf5eb26fc0c1ea0da42b140"


@given(st.dictionaries(st.integers(0, 285), st.integers(1, 1 << 40), min_size=2), st.sampled_from([9, 15]))
def test_codes_are_complete_and_not_too_long(counts: dict[int, int], longest: int) -> None:
    lengths = code_lengths(counts, longest)
    assert lengths.keys() == counts.keys()
    assert max(lengths.values()) <= longest
    assert sum(1 << (longest - length) for length in lengths.values()) == 1 << longest
    by_count = sorted(counts, key=counts.__getitem__)
    assert all(lengths[one] >= lengths[other] for one, other in pairwise(by_count) if counts[one] < counts[other])
    made = codes(lengths)
    assert len(set(made.values())) == len(made)
    assert not [one for one in made.values() for other in made.values() if one != other and other.startswith(one)]


def test_codes_are_cut_where_counts_grow_like_fibonaccis() -> None:
    counts, one, other = {}, 1, 1
    for symbol in range(40):
        counts[symbol] = one
        one, other = other, one + other
    lengths = code_lengths(counts, 15)
    assert max(lengths.values()) == 15
    assert sum(1 << (15 - length) for length in lengths.values()) == 1 << 15


def test_a_single_symbol_has_a_code_of_one_bit() -> None:
    assert code_lengths({7: 3}, 15) == {7: 1}
