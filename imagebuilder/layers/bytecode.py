"""Bytecode of wheels' modules as layers of its own: without it every start of a container compiles anew.

The bytes depend on the modules, their paths and the interpreter's patch version, and on nothing else: each wheel has
a process of its own with hash seed 0 that compiles its modules in the order of their paths. (What is marshalled as a
reference depends on what else is alive in the process.) RECORD does not list these files, as uv's does not.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from imagebuilder.errors import BuildError
from imagebuilder.layers.compiler import HINT, CompilerProcess, Identity
from imagebuilder.layers.layer import OnDisk, Packed, TarEntry
from imagebuilder.layers.layer_cache import LayerCache, blob_is_there, layer_key
from imagebuilder.layers.merge import merge
from imagebuilder.layers.side_by_side import side_by_side
from imagebuilder.layers.tar_header import Kind
from imagebuilder.layers.writer import ZLIB, write_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imagebuilder.layers.assembly import Plan
    from imagebuilder.layers.layer import Layer
    from imagebuilder.layers.target import InstallTarget
    from imagebuilder.layers.wheel import WheelFile

_VERSION: Final = 1
_LARGEST_SOURCE: Final = 32 << 20


class Compiler:
    """An interpreter on this machine, of the target's minor version; what it makes of a wheel is kept in `folder`.

    `codec` is ZLIB or PINNED (writer.py): a third of the size, or the same bytes whatever zlib is at hand.
    """

    def __init__(
        self, interpreter: str | os.PathLike[str], folder: str | os.PathLike[str], *, codec: str = ZLIB
    ) -> None:
        self.compression = codec
        self.interpreter = os.fspath(interpreter)
        self.folder = Path(folder)
        self.check: Callable[[], None] = lambda: None  # raises where nobody wants the bytecode any more

    @cached_property
    def identity(self) -> Identity:
        """What it is; asked once.

        Raises:
            BuildError: it does not run.
        """
        if self.interpreter == sys.executable and sys.implementation.cache_tag:
            version = ".".join(map(str, sys.version_info[:3]))
            return Identity(importlib.util.MAGIC_NUMBER, version, sys.implementation.cache_tag)
        with CompilerProcess(self.interpreter) as process:
            return process.identity

    @property
    def codec(self) -> str:
        """What the bytes of a layer depend on, besides its wheels and target."""
        return f"bytecode-{_VERSION}-{self.identity.magic.hex()}-{self.identity.version}-{self.compression}"

    def compile(self, wheel: WheelFile, entries: Sequence[TarEntry], target: InstallTarget) -> list[TarEntry]:
        """The `.pyc` files of those of a wheel's entries that are modules.

        Raises:
            BuildError: the interpreter is of another version, or failed.
        """
        if self.identity.minor != target.python:
            wanted = ".".join(map(str, target.python))
            raise BuildError(f"{self.interpreter} is Python {self.identity.version}, not {wanted}", hint=HINT)
        key = layer_key([wheel.sha256], target, codec=self.codec)
        pack, index = self.folder / f"{key}.pack", self.folder / f"{key}.json"
        found = _remembered(pack, index)
        if found is None:
            self._fill(pack, index, wheel, entries, target)
            found = _remembered(pack, index)
        if found is None:
            raise BuildError(f"{pack} cannot be read back", hint="make room on its disk")
        return found

    def _fill(
        self, pack: Path, index: Path, wheel: WheelFile, entries: Sequence[TarEntry], target: InstallTarget
    ) -> None:
        rows: list[tuple[str, int, int, str]] = []
        modules = f"{target.root}/{target.site_packages}/"
        offset, whole = 0, hashlib.sha256()
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(pack)
        try:
            with temporary.open("wb") as file, CompilerProcess(self.interpreter) as process:
                for entry in sorted(entries, key=lambda entry: entry.path):
                    if not entry.path.startswith(modules) or not entry.path.endswith(".py"):
                        continue
                    if entry.kind is not Kind.FILE or entry.size > _LARGEST_SOURCE:
                        continue
                    self.check()
                    compiled = process.compile(f"/{entry.path}", _source(wheel, entry))
                    if compiled:
                        file.write(compiled)
                        whole.update(compiled)
                        digest = hashlib.sha256(compiled).hexdigest()
                        rows.append((cached_path(entry.path, self.identity.tag), offset, len(compiled), digest))
                        offset += len(compiled)
            temporary.replace(pack)
            temporary = _temporary(index)
            temporary.write_text(json.dumps({"size": offset, "sha256": whole.hexdigest(), "files": rows}))
            temporary.replace(index)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def assemble_bytecode(
    plan: Plan,
    target: InstallTarget,
    store_dir: str | os.PathLike[str],
    compiler: Compiler,
    *,
    cache: LayerCache | None = None,
    workers: int | None = None,
) -> list[Layer]:
    """One layer of bytecode for each of the plan's layers that has modules, in the plan's order.

    Raises:
        BuildError: the interpreter is of another version, or failed.
        SourceError: a wheel is not what it says.
    """
    blobs = Path(store_dir) / "blobs" / "sha256"

    def layer(group: tuple[WheelFile, ...]) -> Layer | None:
        key = layer_key([wheel.sha256 for wheel in group], target, codec=compiler.codec) if cache else ""
        found = cache.get(key) if cache else None
        if found and blob_is_there(blobs, found):
            return found
        winners = {entry.path: entry for entry in plan.entries(group)}
        compiled: list[list[TarEntry]] = []
        for wheel in group:
            entries = plan.installed(wheel)
            lost = {
                cached_path(entry.path, compiler.identity.tag)
                for entry in entries
                if winners[entry.path] is not entry and entry.path.endswith(".py")
            }
            compiled.append([entry for entry in compiler.compile(wheel, entries, target) if entry.path not in lost])
        if not any(compiled):
            return None
        what = "bytecode of " + ", ".join(f"{wheel.name} {wheel.version}" for wheel in group)
        made = write_layer(
            merge(compiled, target.root),
            blobs,
            what=what,
            owner=target.owner,
            mtime=target.mtime,
            codec=compiler.compression,
        )
        if cache:
            cache.put(key, made)
        return made

    return [made for made in side_by_side(layer, plan.groups, workers) if made is not None]


def _source(wheel: WheelFile, entry: TarEntry) -> bytes:
    match entry.content:
        case bytes(data):
            return data
        case Packed(_, member, _):
            return b"".join(data for _, data in wheel.pieces(member))
        case OnDisk(location):
            return Path(location).read_bytes()


def cached_path(path: str, tag: str) -> str:
    """Where the bytecode of a module goes (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


def _remembered(pack: Path, index: Path) -> list[TarEntry] | None:
    """The entries of a wheel's bytecode; None where there is none, or it was damaged."""
    try:
        note: dict[str, Any] = json.loads(index.read_bytes())
        hasher = hashlib.sha256()
        with pack.open("rb") as file:
            while data := file.read(1 << 20):
                hasher.update(data)
        if hasher.hexdigest() != note["sha256"]:
            return None
        return [
            TarEntry(path, Kind.FILE, 0o644, size, OnDisk(str(pack), bytes.fromhex(digest), offset))
            for path, offset, size, digest in note["files"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _temporary(path: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    os.close(handle)
    return Path(name)
