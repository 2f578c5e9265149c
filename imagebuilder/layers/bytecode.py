"""Bytecode of wheels' modules as layers of its own: without it every start of a container compiles anew.

The bytes depend on the modules, their paths and the interpreter's patch version, and on nothing else: a wheel's
modules are compiled some at a time, in the order of their paths, each time by a new process with hash seed 0. (What is
marshalled as a reference depends on what else is alive in the process.) RECORD does not list these files, as uv's does
not.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import deque
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from imagebuilder.errors import BuildError
from imagebuilder.layers.compiler import HINT, CompilerPool, CompilerProcess, Identity, Module
from imagebuilder.layers.layer import OnDisk, Packed, TarEntry
from imagebuilder.layers.layer_cache import LayerCache, blob_is_there, layer_key
from imagebuilder.layers.merge import merge, with_folders
from imagebuilder.layers.side_by_side import side_by_side
from imagebuilder.layers.tar_header import Kind
from imagebuilder.layers.writer import ZLIB, write_layer
from imagebuilder.layers.zip_directory import DEFLATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from imagebuilder.layers.assembly import Plan
    from imagebuilder.layers.layer import Layer
    from imagebuilder.layers.target import InstallTarget
    from imagebuilder.layers.wheel import WheelFile

_VERSION: Final = 2
_LARGEST_SOURCE: Final = 32 << 20
_CHUNK: Final = 2 << 20  # bytes of sources: enough to keep a processor busy, and few to hold in memory


class Compiler:
    """An interpreter on this machine, of the target's minor version; what it makes of a wheel is kept in `folder`.

    `codec` is ZLIB or PINNED (writer.py): a third of the size, or the same bytes whatever zlib is at hand. `identity`
    is what the interpreter was found to be; it is asked where that is not known.
    """

    def __init__(
        self,
        interpreter: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        *,
        codec: str = ZLIB,
        identity: Identity | None = None,
    ) -> None:
        self.compression = codec
        self._known = identity
        self.interpreter = os.fspath(interpreter)
        self.folder = Path(folder)
        self._pool: CompilerPool | None = None
        self.check: Callable[[], None] = lambda: None  # raises where nobody wants the bytecode any more

    @cached_property
    def identity(self) -> Identity:
        """What it is; asked once.

        Raises:
            BuildError: it does not run.
        """
        if self._known is not None:
            return self._known
        with CompilerProcess(self.interpreter) as process:
            return process.identity

    @property
    def codec(self) -> str:
        """What the bytes of a layer depend on, besides its wheels and target."""
        return f"bytecode-{_VERSION}-{self.identity.magic.hex()}-{self.identity.version}-{self.compression}"

    def __enter__(self) -> Compiler:  # noqa: PYI034 - Self came with Python 3.11
        """Interpreters that are started from now on serve until the end."""
        self._pool = CompilerPool(self.interpreter, self.identity)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.__exit__(kind, error, traceback)

    def compiled(self, wheel: WheelFile, entries: Sequence[TarEntry], target: InstallTarget) -> Iterator[TarEntry]:
        """The `.pyc` files of those of a wheel's entries that are modules, in the order of a layer, as they are made.

        Raises:
            BuildError: the interpreter is of another version, or failed.
            SourceError: the wheel changed.
        """
        if self.identity.minor != target.python:
            wanted = ".".join(map(str, target.python))
            raise BuildError(f"{self.interpreter} is Python {self.identity.version}, not {wanted}", hint=HINT)
        pool = self._pool
        assert pool is not None, "a compiler works in a `with`"
        path, tag = str(wheel.path), self.identity.tag
        under_way: deque[tuple[list[Module], Future[list[bytes]]]] = deque()
        chunks = _chunks(_modules(entries, target, tag))
        try:
            while True:
                while len(under_way) <= pool.workers and (chunk := next(chunks, None)):
                    under_way.append((chunk, pool.submit(path, chunk)))
                if not under_way:
                    return
                chunk, made = under_way.popleft()
                self.check()
                for module, data in zip(chunk, made.result(), strict=True):
                    if data:
                        yield TarEntry.file(cached_path(module.path.lstrip("/"), tag), data)
        finally:
            for _, made in under_way:
                made.cancel()

    def remembered(self, wheel: WheelFile, entries: Sequence[TarEntry], target: InstallTarget) -> list[TarEntry]:
        """As `compiled`, kept on disk: for wheels that share a layer, which others' coming and going rewrites."""
        key = layer_key([wheel.sha256], target, codec=self.codec)
        pack, index = self.folder / f"{key}.pack", self.folder / f"{key}.json"
        found = _remembered(pack, index)
        if found is None:
            self._fill(pack, index, self.compiled(wheel, entries, target))
            found = _remembered(pack, index)
        if found is None:
            raise BuildError(f"{pack} cannot be read back", hint="make room on its disk")
        return found

    def _fill(self, pack: Path, index: Path, compiled: Iterator[TarEntry]) -> None:
        rows: list[tuple[str, int, int, str]] = []
        offset, whole = 0, hashlib.sha256()
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(pack)
        try:
            with temporary.open("wb") as file:
                for entry in compiled:
                    assert isinstance(entry.content, bytes)
                    file.write(entry.content)
                    whole.update(entry.content)
                    rows.append((entry.path, offset, entry.size, hashlib.sha256(entry.content).hexdigest()))
                    offset += entry.size
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

    def layer(group: tuple[WheelFile, ...]) -> Layer | None:
        return bytecode_layer(group, plan.installed, target, store_dir, compiler, cache=cache)

    with compiler:
        return [made for made in side_by_side(layer, plan.groups, workers) if made is not None]


def bytecode_layer(
    group: tuple[WheelFile, ...],
    installed: Callable[[WheelFile], Sequence[TarEntry]],
    target: InstallTarget,
    store_dir: str | os.PathLike[str],
    compiler: Compiler,
    *,
    cache: LayerCache | None = None,
) -> Layer | None:
    """The bytecode of wheels that share a layer; None where they have no modules. The rest is as `assemble_bytecode`.

    A wheel that has a layer for itself is compiled straight into it.
    """
    blobs = Path(store_dir) / "blobs" / "sha256"
    key = layer_key([wheel.key for wheel in group], target, codec=compiler.codec) if cache else ""
    found = cache.get(key) if cache else None
    if found and blob_is_there(blobs, found):
        return found
    if len(group) == 1:
        stream = with_folders(compiler.compiled(group[0], installed(group[0]), target), target.root)
    else:
        stream = iter(merge(_of_several(group, installed, target, compiler), target.root))
    first = next(stream, None)
    if first is None:
        return None
    made = write_layer(
        chain([first], stream),
        blobs,
        what="bytecode of " + ", ".join(f"{wheel.name} {wheel.version}" for wheel in group),
        owner=target.owner,
        mtime=target.mtime,
        codec=compiler.compression,
        check=compiler.check,
    )
    if cache:
        cache.put(key, made)
    return made


def _of_several(
    group: tuple[WheelFile, ...],
    installed: Callable[[WheelFile], Sequence[TarEntry]],
    target: InstallTarget,
    compiler: Compiler,
) -> list[list[TarEntry]]:
    """The bytecode of each wheel, without that of modules which another wheel's stand in the place of."""
    winners = {entry.path: entry for entry in merge(map(installed, group), target.root)}
    compiled: list[list[TarEntry]] = []
    for wheel in group:
        entries = installed(wheel)
        lost = {
            cached_path(entry.path, compiler.identity.tag)
            for entry in entries
            if winners[entry.path] is not entry and entry.path.endswith(".py")
        }
        compiled.append([entry for entry in compiler.remembered(wheel, entries, target) if entry.path not in lost])
    return compiled


def _modules(entries: Sequence[TarEntry], target: InstallTarget, tag: str) -> Iterator[Module]:
    """The modules among a wheel's entries, in the order that their bytecode has in a layer."""
    start = f"{target.root}/{target.site_packages}/"
    found = [
        Module(f"/{entry.path}", at.offset, at.compressed, at.size, at.crc, at.method == DEFLATED)
        for entry in entries
        if entry.kind is Kind.FILE and entry.path.startswith(start) and entry.path.endswith(".py")
        if isinstance(entry.content, Packed) and (at := entry.content.member).size <= _LARGEST_SOURCE
    ]
    return iter(sorted(found, key=lambda module: cached_path(module.path, tag).split("/")))


def _chunks(modules: Iterator[Module]) -> Iterator[list[Module]]:
    """Modules that are compiled by one process: what they are together decides the bytes, so nothing else may."""
    chunk: list[Module] = []
    size = 0
    for module in modules:
        chunk.append(module)
        size += module.size
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def cached_path(path: str, tag: str) -> str:
    """Where the bytecode of a module goes (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


def _remembered(pack: Path, index: Path) -> list[TarEntry] | None:
    """The entries of a wheel's bytecode; None where there is none, or it was damaged."""
    try:
        note: dict[str, Any] = json.loads(index.read_bytes())
        os.utime(index)
        hasher = hashlib.sha256()
        with pack.open("rb") as file:
            while data := file.read(1 << 20):
                hasher.update(data)
            os.utime(file.fileno())  # what was used last is pruned last
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
