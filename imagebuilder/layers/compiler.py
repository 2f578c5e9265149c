"""Interpreters that turn sources into bytecode, told what through a pipe."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from imagebuilder.errors import BuildError, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from types import TracebackType

_LARGEST_FRAME: Final = 256 << 20
# Memory of the C library comes from huge pages and stays with the process (glibc's manual, "Memory Allocation
# Tunables"): a tenth of the time goes into page faults otherwise.
_TUNABLES: Final = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:"
    "glibc.malloc.trim_threshold=134217728:glibc.malloc.top_pad=4194304"
)
HINT: Final = "leave the bytecode out, or name another interpreter of this version"


class Module(NamedTuple):
    """A module: where it will lie in the image, and where in its wheel it is."""

    path: str
    offset: int
    compressed: int
    size: int
    crc: int
    deflated: bool


class Identity(NamedTuple):
    """What bytecode depends on: the magic number, the version such as 3.11.7, the tag in file names."""

    magic: bytes
    version: str
    tag: str

    @property
    def minor(self) -> tuple[int, ...]:
        """Such as (3, 11)."""
        return tuple(int(part) for part in self.version.split(".")[:2])


class CompilerProcess:
    """A running interpreter, to be used in a `with`.

    Raises:
        BuildError: it does not run, or stopped.
    """

    def __init__(self, interpreter: str) -> None:
        self._interpreter = interpreter
        driver = resources.files("imagebuilder.layers").joinpath("compile_driver.py").read_text()
        # Not -I, which would ignore the hash seed; in / nothing shadows a module of the standard library.
        command = [interpreter, "-s", "-S", "-B", "-W", "ignore", "-X", "utf8", "-c", driver]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={
                    "PYTHONHASHSEED": "0",
                    "PATH": os.environ.get("PATH", os.defpath),
                    "LC_ALL": "C",
                    "GLIBC_TUNABLES": _TUNABLES,
                },
            )
        except OSError as error:
            raise BuildError(f"{interpreter} does not run: {error.strerror}", hint=HINT) from None
        try:
            magic, version, tag = self._read(), self._read().decode(), self._read().decode()
            self.identity = Identity(magic, version, tag)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def __enter__(self) -> CompilerProcess:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def kill(self) -> None:
        """End it, whatever it does; a request's own process ends when it has nobody to answer to."""
        self._process.kill()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()

    def compile(self, wheel: str, modules: Sequence[Module]) -> list[bytes]:
        """The `.pyc` files of modules of a wheel, in their order; empty where one does not compile.

        Raises:
            SourceError: the wheel is no longer what its directory said.
        """
        request = json.dumps({"wheel": wheel, "modules": modules}).encode()
        try:
            self._pipe(self._process.stdin).write(struct.pack(">I", len(request)) + request)
            self._pipe(self._process.stdin).flush()
        except OSError:
            raise self._stopped(wheel) from None
        wrong = self._read(wheel)
        if wrong:
            raise SourceError(f"{wheel} changed while it was read: {wrong.decode(errors='replace')}")
        return [self._read(wheel) for _ in modules]

    def _read(self, what: str = "") -> bytes:
        pipe = self._pipe(self._process.stdout)
        head = pipe.read(4)
        size = struct.unpack(">I", head)[0] if len(head) == 4 else 0
        data = pipe.read(size) if size <= _LARGEST_FRAME else b""
        if len(head) < 4 or len(data) < size:
            raise self._stopped(what)
        return data

    @staticmethod
    def _pipe(pipe: object) -> BinaryIO:
        assert pipe is not None
        return pipe  # type: ignore[return-value]

    def _stopped(self, wheel: str) -> BuildError:
        what = f"stopped while it compiled {wheel}" if wheel else "is no Python that can compile"
        return BuildError(f"{self._interpreter} {what}", hint=HINT)


class CompilerPool:
    """So many running interpreters as there are processors, started when they are first needed; for a `with`.

    Each must be what `identity` says.
    """

    def __init__(self, interpreter: str, identity: Identity, workers: int | None = None) -> None:
        self._interpreter = interpreter
        self._identity = identity
        self.workers = workers or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(self.workers, "compile")
        self._local = threading.local()
        self._processes: list[CompilerProcess] = []

    def __enter__(self) -> CompilerPool:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if kind is not None:
            for process in list(self._processes):
                process.kill()  # what is under way ends at once
        self._threads.shutdown()
        for process in self._processes:
            process.__exit__(None, None, None)

    def submit(self, wheel: str, modules: Sequence[Module]) -> Future[list[bytes]]:
        """As `CompilerProcess.compile`, by whichever interpreter is free."""
        return self._threads.submit(self._compile, wheel, modules)

    def _compile(self, wheel: str, modules: Sequence[Module]) -> list[bytes]:
        process: CompilerProcess | None = getattr(self._local, "process", None)
        if process is None:
            process = self._local.process = CompilerProcess(self._interpreter)
            self._processes.append(process)
            if process.identity != self._identity:
                was, now = self._identity.version, process.identity.version
                raise BuildError(f"{self._interpreter} was Python {was}, and is {now} now", hint="build again")
        return process.compile(wheel, modules)
