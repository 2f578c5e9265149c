"""One walk over a folder makes one snapshot of it."""

# Paths are strings here: a Path per file would cost more than the work itself.
# ruff: noqa: PTH100, PTH116, PTH119, PTH120

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError
from imagebuilder.sources.content import (
    READ_FLAGS,
    STATE_NUMBERS,
    Content,
    hash_file,
    hash_files,
    kind,
    special,
    state,
    unreadable,
)
from imagebuilder.sources.ignore import DOCKERIGNORE, VENV_MARKER, IgnoreRules, rules_for
from imagebuilder.sources.links import check_links
from imagebuilder.sources.snapshot import File, Link, Snapshot
from imagebuilder.sources.stat_cache import KEY_SIZE, RACY_NS, StatCache, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

# Where these stand in a file's state.
_SIZE, _MTIME, _CTIME = 2, 3, 4
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def take_snapshot(
    root: str | os.PathLike[str],
    patterns: Sequence[str] = (),
    *,
    defaults: bool = True,
    dockerignore: bool = True,
    cache: StatCache | None = None,
) -> Snapshot:
    """Read a folder, less what its rules leave out: the defaults, then its `.dockerignore`, then `patterns`.

    What vanishes between being listed and being read was never there. The folder's own `.dockerignore` is not part of
    it, only its effect is, unless `dockerignore` is off. The caller saves the cache.

    Raises:
        SourceError: a file that is not ignored cannot be read or be part of an image; a pattern is malformed.
    """
    top = os.path.abspath(root)
    _check_folder(top)
    rules = rules_for(top, patterns, defaults=defaults, dockerignore=dockerignore)
    walk = _Walk(top, rules, hidden=DOCKERIGNORE if dockerignore else "")
    walk.run()
    check_links(top, walk.links)
    files = _Files(walk, cache)
    return Snapshot.sorted(
        top,
        paths=files.paths,
        modes=files.modes,
        sizes=files.sizes,
        digests=files.digests,
        folders=walk.folders,
        links=[Link(*link) for link in walk.links.items()],
    )


def snapshot_file(path: str | os.PathLike[str], cache: StatCache | None = None) -> File:
    """Read one file, or the file that a link leads to; the entry's path is the last part of `path`.

    Raises:
        SourceError: there is no such file, or it is not a regular one.
    """
    full = os.path.abspath(path)
    started = time.time_ns()
    try:
        status = os.stat(full)
    except OSError as error:
        raise _missing(full, "file", error) from None
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{full} is a folder, where a file is needed", hint="use with_source_folder for a folder")
    if not stat.S_ISREG(status.st_mode):
        raise special(full, status.st_mode)
    keys = pack(state(status))
    digest = cache.digests(full, keys)[0] if cache else b""
    size = status.st_size
    fresh: dict[bytes, bytes] = {}
    if not digest:
        content = hash_file(full, READ_FLAGS)
        if content is None:
            raise _missing(full, "file", FileNotFoundError())
        digest, size = content.digest, content.size
        if _is_settled(state(status), content, started):
            fresh[keys] = digest
    if cache:
        cache.record(full, keys, fresh)
    return File(os.path.basename(full), bool(status.st_mode & stat.S_IXUSR), size, digest.hex())


class _Walk:
    """Lists everything that is not ignored; columns in step, in no particular order."""

    def __init__(self, top: str, rules: IgnoreRules, *, hidden: str) -> None:
        self.top = top
        self.rules = rules
        self.hidden = hidden
        self.started = time.time_ns()
        self.paths: list[str] = []
        self.modes: list[str] = []
        self.states: list[int] = []  # STATE_NUMBERS per file, end to end
        self.folders: list[str] = []
        self.links: dict[str, str] = {}
        self._pending: list[tuple[str, int, int]] = []
        self._excluded: set[str] = set()

    def run(self) -> None:
        """Walk, from the root down, without recursion: a tree may be deep."""
        self._folder("", 0, -1)
        while self._pending:
            self._folder(*self._pending.pop())
        if self._excluded:
            self._restore_parents()

    def _folder(self, folder: str, depth: int, verdict: int) -> None:
        path = f"{self.top}/{folder}" if folder else self.top
        try:
            descriptor = os.open(path, _FOLDER_FLAGS | os.O_NOFOLLOW if folder else _FOLDER_FLAGS)
        except FileNotFoundError:
            if not folder:
                raise SourceError(f"{path} vanished while it was being read") from None
            return
        except OSError as error:
            raise unreadable(path, error) from None
        try:
            self._visit(descriptor, folder, depth + 1, verdict)
        except OSError as error:
            raise unreadable(path, error) from None
        finally:
            os.close(descriptor)

    def _visit(self, descriptor: int, folder: str, depth: int, verdict: int) -> None:
        rules = self.rules
        names = os.listdir(descriptor)
        if not folder:
            names = [name for name in names if name != self.hidden]
        elif verdict < rules.virtual_environment and VENV_MARKER in names:
            verdict = rules.virtual_environment
        excluded = rules.excludes[verdict]
        if excluded:
            if not rules.may_bring_back(folder, verdict):
                return
            self._excluded.add(folder)
        elif folder:
            self.folders.append(folder)
        prefix = f"{folder}/" if folder else ""
        verdicts: dict[str, int] = {}
        if excluded or rules.concerns(folder, names, depth):
            verdicts = {name: max(verdict, rules.last_match(prefix + name, depth)) for name in names}
            names = [name for name in names if not self._is_out(descriptor, name, prefix + name, depth, verdicts[name])]
        for name, mode in self._take_files(descriptor, prefix, names):
            path = prefix + name
            if stat.S_ISDIR(mode):
                self._pending.append((path, depth, verdicts.get(name, verdict)))
            elif stat.S_ISLNK(mode):
                with contextlib.suppress(FileNotFoundError):
                    self.links[path] = os.readlink(name, dir_fd=descriptor)
            else:
                raise special(f"{self.top}/{path}", mode)

    def _take_files(self, descriptor: int, prefix: str, names: list[str]) -> list[tuple[str, int]]:
        """Note the regular files; return what else there is, with its mode. Half of all time is spent here."""
        others: list[tuple[str, int]] = []
        paths, modes, states = self.paths, self.modes, self.states
        for name in names:
            try:
                status = os.lstat(name, dir_fd=descriptor)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise unreadable(f"{self.top}/{prefix}{name}", error) from None
            mode = status.st_mode
            if stat.S_ISREG(mode):
                paths.append(prefix + name)
                modes.append("x" if mode & 0o100 else "-")
                # state(status), without the call
                states += (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            else:
                others.append((name, mode))
        return others

    def _is_out(self, descriptor: int, name: str, path: str, depth: int, verdict: int) -> bool:
        """Is an entry left out? If it is a folder with something in it that may be brought back, that is visited."""
        if not self.rules.excludes[verdict]:
            return False
        if self.rules.may_bring_back(path, verdict):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISDIR(os.lstat(name, dir_fd=descriptor).st_mode):
                    self._pending.append((path, depth, verdict))
        return True

    def _restore_parents(self) -> None:
        """Keep an excluded folder if something in it was brought back."""
        needed: set[str] = set()
        for kept in (*self.paths, *self.folders, *self.links):
            parent = os.path.dirname(kept)
            while parent in self._excluded and parent not in needed:
                needed.add(parent)
                parent = os.path.dirname(parent)
        self.folders += needed


class _Files:
    """The listed files with their digests, from the cache where it knows them; those that vanished left out."""

    def __init__(self, walk: _Walk, cache: StatCache | None) -> None:
        self.paths, self.modes, self.sizes = walk.paths, walk.modes, walk.states[_SIZE::STATE_NUMBERS]
        keys = pack(walk.states) if cache else b""
        self.digests = cache.digests(walk.top, keys) if cache else [b""] * len(self.paths)
        fresh = self._read_missing(walk, keys) if b"" in self.digests else {}
        if cache:
            cache.record(walk.top, keys, fresh)
        if b"" in self.digests:
            self._drop_vanished()

    def _read_missing(self, walk: _Walk, keys: bytes) -> dict[bytes, bytes]:
        """Read what is not known; return what the cache may remember."""
        fresh: dict[bytes, bytes] = {}
        missing = [place for place, digest in enumerate(self.digests) if not digest]
        contents = hash_files(
            [f"{walk.top}/{self.paths[place]}" for place in missing], [self.sizes[p] for p in missing]
        )
        for place, content in zip(missing, contents, strict=True):
            if content is None:
                continue
            self.digests[place], self.sizes[place] = content.digest, content.size
            listed = walk.states[place * STATE_NUMBERS : (place + 1) * STATE_NUMBERS]
            if keys and _is_settled(listed, content, walk.started):
                fresh[keys[place * KEY_SIZE : (place + 1) * KEY_SIZE]] = content.digest
        return fresh

    def _drop_vanished(self) -> None:
        kept = [place for place, digest in enumerate(self.digests) if digest]
        self.paths = [self.paths[place] for place in kept]
        self.modes = [self.modes[place] for place in kept]
        self.sizes = [self.sizes[place] for place in kept]
        self.digests = [self.digests[place] for place in kept]


def _is_settled(listed: Sequence[int], content: Content, started: int) -> bool:
    """May the cache remember this? Only what had come to rest before the walk, and did not change during it."""
    rested = started - RACY_NS
    return (
        listed[_MTIME] < rested
        and listed[_CTIME] < rested
        and tuple(listed) == content.opened
        and content.size == listed[_SIZE]
    )


def _check_folder(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise _missing(path, "folder", error) from None
    if not stat.S_ISDIR(mode):
        raise SourceError(f"{path} is {kind(mode)}, where a folder is needed", hint="name the folder it is in")


def _missing(path: str, what: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        hint = "check the path; a relative one starts where you are"
        return SourceError(f"the source {what} {path} does not exist", hint=hint)
    return unreadable(path, error)
