from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from imagebuilder.layers import InstallTarget, LayerCache, WheelFile, assemble, layer_key, stack_key

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import MakeWheel


def test_a_key_depends_on_everything_that_the_bytes_depend_on() -> None:
    target = InstallTarget()
    keys = {
        layer_key(["a"], target),
        layer_key(["b"], target),
        layer_key(["a", "b"], target),
        layer_key(["b", "a"], target),
        layer_key(["ab"], target),
        layer_key(["a"], replace(target, prefix="/opt/other")),
        layer_key(["a"], replace(target, python=(3, 12))),
        layer_key(["a"], replace(target, owner=(1, 0))),
        layer_key(["a"], replace(target, mtime=1)),
        layer_key(["a"], target, codec="other"),
    }
    assert len(keys) == 10
    assert layer_key(["a"], replace(target, interpreter="/usr/bin/python3")) == layer_key(["a"], target)


def test_what_is_known_is_not_written_again(make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    cache = LayerCache(tmp_path / "cache")
    path = make_wheel()
    (layer,) = assemble([WheelFile(path)], InstallTarget(), store, cache=cache)
    blob = store / "blobs" / "sha256" / layer.descriptor.digest[7:]
    written = blob.stat().st_ino
    assert assemble([WheelFile(path)], InstallTarget(), store, cache=cache) == [layer]
    assert blob.stat().st_ino == written
    assert cache.get(layer_key([WheelFile(path).sha256], InstallTarget())) == layer
    for damage in (b"", bytes(layer.descriptor.size)):  # a blob is never believed
        blob.write_bytes(damage)
        assert assemble([WheelFile(path)], InstallTarget(), store, cache=cache) == [layer]
        assert blob.stat().st_size == layer.descriptor.size
        assert any(blob.read_bytes())


def test_a_known_stack_opens_no_wheel(make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    cache = LayerCache(tmp_path / "cache")
    wheels = [WheelFile(make_wheel(name=name)) for name in ("a", "b", "c")]
    layers = assemble(wheels, InstallTarget(), store, cache=cache)
    hashes = [wheel.sha256 for wheel in wheels[::-1]]
    assert cache.get_stack(stack_key(hashes, InstallTarget(), budget=127)) == layers
    assert cache.get_stack(stack_key(hashes, InstallTarget(), budget=100)) is None
    assert cache.get_stack(stack_key(hashes[1:], InstallTarget(), budget=127)) is None
    assert assemble(wheels, InstallTarget(), store, cache=cache) == layers


@pytest.mark.parametrize("note", [b"", b"[]", b"null", b"{}", b'{"key": "other"}', b"\xff", b'{"digest": "../../x"}'])
def test_damaged_notes_are_no_notes(make_wheel: MakeWheel, store: Path, tmp_path: Path, note: bytes) -> None:
    cache = LayerCache(tmp_path / "cache")
    layers = assemble([WheelFile(make_wheel())], InstallTarget(), store, cache=cache)
    for path in (tmp_path / "cache").rglob("*.json"):
        path.write_bytes(note)
        assert cache.get(path.stem) is None
    assert assemble([WheelFile(make_wheel())], InstallTarget(), store, cache=cache) == layers


def test_a_cache_that_cannot_be_written(make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert assemble([WheelFile(make_wheel())], InstallTarget(), store, cache=LayerCache(tmp_path / "cache"))
