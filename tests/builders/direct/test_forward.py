from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.builders.direct.forward import Forward

_BLOCK, _PIECE = 512, 1 << 18
_SIZES = st.one_of(
    st.integers(0, 3 * _BLOCK),
    st.builds(lambda blocks, more: max(0, blocks * _BLOCK + more), st.integers(0, 1100), st.integers(-1, 1)),
    st.sampled_from((_PIECE - _BLOCK, _PIECE, 2 * _PIECE)),
)


class _OnlyRead(io.RawIOBase):
    """A stream that cannot be sought, and gives less than it is asked for."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data = io.BytesIO(data)
        self._most = most

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, self._most))


@given(st.lists(st.tuples(_SIZES, st.booleans()), max_size=8), st.sampled_from((700, 65536, _PIECE)))
def test_archives_are_read_as_from_files(files: list[tuple[int, bool]], most: int) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, (size, is_long) in enumerate(files):
            entry = tarfile.TarInfo(f"{number}-{'x' * 200 if is_long else ''}")
            entry.size = size
            tar.addfile(entry, io.BytesIO(bytes([number]) * size))
    found = []
    with tarfile.open(fileobj=Forward(_OnlyRead(archive.getvalue(), most)), mode="r:") as tar:
        for number, entry in enumerate(tar):
            stream = tar.extractfile(entry) if number % 2 else None  # others are skipped
            assert stream is None or stream.read() == bytes([number]) * entry.size
            found.append((entry.size, len(entry.name) > 100))
    assert found == files


def test_it_does_not_go_back() -> None:
    stream = Forward(io.BytesIO(bytes(3 * _PIECE)))
    assert len(stream.read()) == 3 * _PIECE
    with pytest.raises(io.UnsupportedOperation):
        stream.seek(0)
