"""What holds for every test."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="session")
def _own_uv_cache() -> Iterator[None]:
    """Keep wheels that tests make out of the user's cache of uv, which unpacks each of them and lets none go."""
    with tempfile.TemporaryDirectory(prefix="uv-cache-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", folder)
        yield
