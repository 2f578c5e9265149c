from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from imagebuilder.packages import ResolutionCache
from imagebuilder.packages.resolution_cache import resolution_key

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def make(tmp_path: Path, ttl: float = 600) -> tuple[ResolutionCache, Clock]:
    clock = Clock()
    return ResolutionCache(tmp_path / "cache", ttl=ttl, clock=clock), clock


def test_what_is_put_is_got_until_it_is_too_old(tmp_path: Path) -> None:
    cache, clock = make(tmp_path)
    key = resolution_key(["a"])
    assert cache.get(key) is None
    cache.put(key, "text\nmore ü\n")
    clock.now += 599
    assert cache.get(key) == "text\nmore ü\n"
    clock.now += 1
    assert cache.get(key) is None
    assert cache.get(key, forever=True) == "text\nmore ü\n"
    clock.now -= 700  # the clock was put back
    assert cache.get(key) is None


def test_a_damaged_file_is_not_trusted(tmp_path: Path) -> None:
    cache, _ = make(tmp_path)
    key, other = resolution_key(["a"]), resolution_key(["b"])
    cache.put(key, "text")
    path = next((tmp_path / "cache").rglob("*.toml"))
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole + b"x", whole.replace(b"text", b"evil"), b"", b"\xff\n\xff", whole[5:]):
        path.write_bytes(damaged)
        assert cache.get(key) is None
    path.write_bytes(whole)
    moved = tmp_path / "cache" / other[:2] / f"{other}.toml"
    moved.parent.mkdir(exist_ok=True)
    moved.write_bytes(whole)
    assert cache.get(other) is None


def test_keys_tell_all_parts_apart() -> None:
    assert resolution_key(["ab", "c"]) != resolution_key(["a", "bc"]) != resolution_key(["abc"])
    assert resolution_key([]) != resolution_key([""])


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    cache, _ = make(tmp_path)
    cache.put(resolution_key(["a"]), "text")
    assert cache.get(resolution_key(["a"])) is None


def test_writers_side_by_side_never_show_half_a_file(tmp_path: Path) -> None:
    cache, _ = make(tmp_path)
    key = resolution_key(["a"])
    texts = {str(number) * 50_000 for number in range(4)}
    writers = [threading.Thread(target=lambda text=text: [cache.put(key, text) for _ in range(20)]) for text in texts]
    cache.put(key, min(texts))
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert cache.get(key) in texts
    assert not list((tmp_path / "cache").rglob(".part-*"))
