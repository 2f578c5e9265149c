"""An interpreter that turns sources into bytecode, one at a time, through a pipe."""

from __future__ import annotations

import os
import struct
import subprocess
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from imagebuilder.errors import BuildError

if TYPE_CHECKING:
    from types import TracebackType

_LARGEST_FRAME: Final = 256 << 20
HINT: Final = "leave the bytecode out, or name another interpreter of this version"


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
                env={"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            )
        except OSError as error:
            raise BuildError(f"{interpreter} does not run: {error.strerror}", hint=HINT) from None
        try:
            magic, version, tag = self._read(), self._read().decode(), self._read().decode()
            self.identity = Identity(magic, version, tag)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> CompilerProcess:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()

    def compile(self, path: str, source: bytes) -> bytes:
        """The `.pyc` of a module that will lie at `path`; empty where it does not compile."""
        try:
            for frame in (path.encode(), source):
                self._pipe(self._process.stdin).write(struct.pack(">I", len(frame)) + frame)
            self._pipe(self._process.stdin).flush()
        except OSError:
            raise self._stopped(path) from None
        return self._read(path)

    def _read(self, path: str = "") -> bytes:
        pipe = self._pipe(self._process.stdout)
        head = pipe.read(4)
        size = struct.unpack(">I", head)[0] if len(head) == 4 else 0
        data = pipe.read(size) if size <= _LARGEST_FRAME else b""
        if len(head) < 4 or len(data) < size:
            raise self._stopped(path)
        return data

    @staticmethod
    def _pipe(pipe: object) -> BinaryIO:
        assert pipe is not None
        return pipe  # type: ignore[return-value]

    def _stopped(self, path: str) -> BuildError:
        what = f"stopped while it compiled {path}" if path else "is no Python that can compile"
        return BuildError(f"{self._interpreter} {what}", hint=HINT)
