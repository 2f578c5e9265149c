from __future__ import annotations

import pytest

from imagebuilder.cache.amounts import parse_age, parse_size
from imagebuilder.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "count"),
    [("10GB", 10**10), ("1.5 GiB", 3 << 29), ("500mb", 5 * 10**8), ("0", 0), ("42", 42), ("1B", 1), ("2kB", 2000)],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_size(text, "cache_size") == count


@pytest.mark.parametrize("text", ["", "much", "10 G", "-1GB", "1e3", "10GBs", "GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ConfigError, match=r"cache_size is .* which is no size") as caught:
        parse_size(text, "cache_size")
    assert caught.value.hint == "write 10GB, 500MB or 2GiB"


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2_592_000), ("12h", 43_200), ("1.5m", 90), ("2w", 1_209_600)])
def test_ages(text: str, seconds: float) -> None:
    assert parse_age(text, "--older-than") == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1 year", "1y"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ConfigError, match="--older-than is"):
        parse_age(text, "--older-than")
