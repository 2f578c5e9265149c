"""Tells in which layers, and in which files of them, two builds of one image differ."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from imagebuilder.registry.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from imagebuilder.registry import ContentStore, Descriptor

_SHOWN = 3  # paths of a layer
_PIECE = 1 << 20
_OURS = ".tar+gzip"


@dataclass(frozen=True)
class Side:
    """One build of an image for one platform, and what holds its blobs."""

    manifest: Manifest
    store: ContentStore

    @classmethod
    def of(cls, store: ContentStore, descriptor: Descriptor) -> Side:
        """Read a manifest out of a store that holds it."""
        with store.open(descriptor.digest) as blob:
            return cls(Manifest.of(blob.read(), descriptor.media_type), store)

    def config(self) -> dict[str, Any]:
        """The config; an image has one."""
        assert self.manifest.config is not None
        with self.store.open(self.manifest.config.digest) as blob:
            return cast("dict[str, Any]", json.load(blob))


def compare(pushed: Side, derived: Side) -> list[str]:
    """Say line by line what the derived image has otherwise than the pushed one; both are for one platform."""
    if pushed.manifest.digest == derived.manifest.digest:
        return []
    configs = pushed.config(), derived.config()
    titles = _titles(configs[0], len(pushed.manifest.layers)), _titles(configs[1], len(derived.manifest.layers))
    lines = []
    for number, (old, new) in enumerate(zip(pushed.manifest.layers, derived.manifest.layers, strict=False)):
        if old.digest != new.digest:
            where = f"image layer {number + 1}, {titles[0][number]}"
            lines.append(f"{where}: {_layer(pushed, old, derived, new, (titles[0][number], titles[1][number]))}")
    counts = len(pushed.manifest.layers), len(derived.manifest.layers)
    for number in range(min(counts), max(counts)):
        side, has = (0, "the pushed image alone") if counts[0] > counts[1] else (1, "the derived image alone")
        lines.append(f"image layer {number + 1}, {titles[side][number]}: {has} has it")
    lines += _configs(*configs)
    return lines or ["manifest: its form differs, layers and config are the same"]


def _titles(config: Mapping[str, Any], count: int) -> list[str]:
    """What each layer holds, as the history of a config says it."""
    history = [entry for entry in config.get("history") or [] if not entry.get("empty_layer")]
    said = [str(entry.get("created_by", "")) for entry in history]
    return said if len(said) == count else ["unnamed"] * count


def _layer(pushed: Side, old: Descriptor, derived: Side, new: Descriptor, titles: tuple[str, str]) -> str:
    if titles[0] != titles[1]:
        return f"it is {titles[1]} when derived"
    if not (old.media_type.endswith(_OURS) and new.media_type.endswith(_OURS)):
        return f"{old.digest} became {new.digest}"
    with pushed.store.open(old.digest) as one, derived.store.open(new.digest) as other:
        was, now = dict(_entries(one)), dict(_entries(other))
    paths = [path for path in sorted(was.keys() | now.keys()) if was.get(path) != now.get(path)]
    if not paths:
        return "the same files, archived or compressed otherwise"
    shown = [f"/{path} {_how(was.get(path), now.get(path))}" for path in paths[:_SHOWN]]
    more = len(paths) - _SHOWN
    return ", ".join(shown) + (f", and {more} more" if more > 0 else "")


def _entries(blob: BinaryIO) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Each path with what it is and, last, the digest of what it holds."""
    # tarfile's own reading of compressed streams ends after the first gzip member.
    with gzip.GzipFile(fileobj=blob) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for entry in tar:
            content = hashlib.sha256()
            file = tar.extractfile(entry) if entry.isreg() else None
            while file and (data := file.read(_PIECE)):
                content.update(data)
            about = (entry.type, entry.mode, entry.uid, entry.gid, entry.mtime, entry.linkname)
            yield entry.name.strip("/"), (*about, content.digest())


def _how(was: tuple[object, ...] | None, now: tuple[object, ...] | None) -> str:
    if was is None:
        return "is in the derived image alone"
    if now is None:
        return "is in the pushed image alone"
    return "differs" if was[-1] != now[-1] else "has another mode, owner or time"


def _configs(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    was, now = old.get("config") or {}, new.get("config") or {}
    for key in sorted(was.keys() | now.keys()):
        if was.get(key) != now.get(key):
            yield f"config: {key} differs{_keys(was.get(key), now.get(key))}"
    for key in sorted((old.keys() | new.keys()) - {"config", "history", "rootfs"}):
        if old.get(key) != new.get(key):
            yield f"config: {key} differs"


def _keys(was: object, now: object) -> str:
    if not isinstance(was, dict) or not isinstance(now, dict):
        return ""
    return " in " + ", ".join(key for key in sorted(was.keys() | now.keys()) if was.get(key) != now.get(key))
