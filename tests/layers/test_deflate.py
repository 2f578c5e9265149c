from __future__ import annotations

import gzip
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.layers.deflate import encode, gzip_member, stored_blocks
from imagebuilder.layers.tar_header import Kind, header

zeros = st.integers(0, 1200).map(bytes)


@given(st.lists(st.one_of(zeros, st.binary(max_size=300), st.text("abc/_.", max_size=99).map(str.encode))))
def test_what_is_encoded_inflates_to_the_same(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert zlib.decompress(encode(data), -15) == data
    assert gzip.decompress(gzip_member(data)) == data


@pytest.mark.parametrize(
    "size", [0, 1, 3, 4, 257, 258, 259, 260, 261, 262, 516, 1023, 2047, 2048, 2049, 16383, 16384, 16385]
)
def test_runs_of_zeros(size: int) -> None:
    for data in (bytes(size), b"a" + bytes(size) + b"z"):
        assert zlib.decompress(encode(data), -15) == data


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 200_000])
def test_stored_blocks(size: int) -> None:
    data = b"\xa5" * size
    stream = b"".join(stored_blocks(data, final=True))
    assert zlib.decompress(stream, -15) == data
    assert len(stream) == size + 5 * max(1, -(-size // 65535))


def test_headers_become_small_and_stay_the_same_bytes() -> None:
    path = "opt/venv/lib/python3.11/site-packages/numpy/linalg/tests/test_linalg.py"
    block = bytes(300) + header(path, Kind.FILE, mode=0o644, size=84_000, owner=(0, 0), mtime=315532800)
    stream = encode(block)
    assert len(stream) < 200
    # The encoder is part of every layer's digest: a change here needs a new LAYOUT_VERSION.
    assert hashlib.sha256(stream).hexdigest() == "750097c6bc094367cd5012ec842801ac9a8909513289a2c0d10649acde620436"
