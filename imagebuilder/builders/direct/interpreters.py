"""The Pythons of this machine that compile bytecode: the base's own version if it is here, or what a lock names."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.errors import LockError
from imagebuilder.layers import Compiler
from imagebuilder.layers.compiler import Identity
from imagebuilder.layers.writer import PINNED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.layers import InstallTarget
    from imagebuilder.lock.pins import PlatformPins

_SECONDS: Final = 60.0  # a busy machine must not choose another interpreter than an idle one
_SAYS: Final = (
    "import importlib.util, sys; print(*sys.version_info[:3], sep='.'); "
    "print(sys.version_info[3], importlib.util.MAGIC_NUMBER.hex(), sys.implementation.cache_tag, sep='\\n')"
)


def compiler_for(
    request: BuildRequest,
    target: InstallTarget,
    pins: PlatformPins | None,
    folder: Path,
    environ: Mapping[str, str],
    *,
    own: str,
) -> Compiler | None:
    """What compiles for an image, None where nothing is to be, or can be; what it makes is kept in `folder`.

    `own` is the full version of the base's Python, which is taken where this machine has it too. What is pinned is
    stored, not compressed: the bytes that zlib writes are not the same on every machine.

    Raises:
        LockError: this machine lacks the version that the lock names.
    """
    if pins is None:
        interpreter = interpreter_for(target.python, environ, own) if request.site.bytecode else None
        return Compiler(interpreter, folder, identity=identity_of(interpreter)) if interpreter else None
    if not pins.bytecode:
        return None
    interpreter = pinned_interpreter(request.name, pins.bytecode, environ)
    return Compiler(interpreter, folder, codec=PINNED, identity=identity_of(interpreter))


def pinned_interpreter(name: str, version: str, environ: Mapping[str, str]) -> str:
    """The Python that a lock names, for the image or part of one that messages call `name`.

    Raises:
        LockError: this machine lacks it.
    """
    interpreter = exact_interpreter(version, environ)
    if interpreter is None:
        raise LockError(
            f"{name}: its lock has bytecode of Python {version}, which is not on this machine",
            hint=f"run uv python install {version}, or lock again with what this machine has",
        )
    return interpreter


def no_bytecode(python: tuple[int, int]) -> str:
    """What it costs that no Python of a version is here."""
    version = ".".join(map(str, python))
    return (
        f"no Python {version} is on this machine to compile bytecode with, so the image has none: each container "
        f"compiles what it imports when it starts, for pandas and scikit-learn about a second; uv python install "
        f"{version} makes it faster"
    )


def interpreter_for(minor: tuple[int, int], environ: Mapping[str, str], own: str = "") -> str | None:
    """A Python of a minor version that runs: of the full version `own` if there is one, else this process's.

    Those that are asked are found as `exact_interpreter` does, of those that are kept the newest first. What has the
    name may be a shim that pyenv or another manager left for a version which is not chosen here.
    """
    name = ".".join(map(str, minor))
    found = _exact(own, environ, shims=False) if own.startswith(f"{name}.") else None
    if found is not None or sys.version_info[:2] == minor:
        return found or sys.executable
    for path in (*_on_path(name, environ), *_kept(f"{name}.*", environ)):
        if (version_of(path) or "").startswith(f"{name}."):
            return str(path)
    return None


def exact_interpreter(version: str, environ: Mapping[str, str]) -> str | None:
    """A Python of a full version, such as 3.11.7: this process's own, one that uv or pyenv keeps, one on the PATH."""
    return _exact(version, environ, shims=True)


def _exact(version: str, environ: Mapping[str, str], *, shims: bool) -> str | None:
    """As `exact_interpreter`; a shim takes longer to answer than all the others, so it is asked last, or not at all."""
    if ".".join(map(str, sys.version_info[:3])) == version:
        return sys.executable
    found = [*_kept(version, environ), *_on_path(version, environ)]
    scripts = [path for path in found if _is_script(path)]
    tried = {Path(sys.executable).resolve()}
    for path in (*(path for path in found if path not in scripts), *(scripts if shims else ())):
        real = path.resolve()
        if real not in tried and version_of(path) == version:
            return str(path)
        tried.add(real)
    return None


def version_of(interpreter: str | Path) -> str | None:
    """The full version of a released Python; None where it does not run."""
    found = identity_of(interpreter)
    return found.version if found else None


def identity_of(interpreter: str | Path) -> Identity | None:
    """What a released Python is, asked once as long as its file stays the same; None where it does not run."""
    if str(interpreter) == sys.executable and sys.implementation.cache_tag:
        version = ".".join(map(str, sys.version_info[:3]))
        return Identity(importlib.util.MAGIC_NUMBER, version, sys.implementation.cache_tag)
    try:
        status = Path(interpreter).stat()
    except OSError:
        return None
    return _identity_of(str(interpreter), (status.st_ino, status.st_size, status.st_mtime_ns))


@cache
def _identity_of(interpreter: str, _state: tuple[int, int, int]) -> Identity | None:
    try:
        done = subprocess.run(
            [interpreter, "-I", "-S", "-c", _SAYS],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            cwd="/",
        )
        version, level, magic, tag = done.stdout.split()
        return Identity(bytes.fromhex(magic), version, tag) if done.returncode == 0 and level == "final" else None
    except (OSError, subprocess.TimeoutExpired, ValueError):  # ValueError: it says something else, or no text
        return None


def _is_script(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _kept(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Where uv and pyenv keep Pythons of a version, whose last part may be a star."""
    home = Path(environ.get("HOME") or "/nonexistent")
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    name = _name(version)
    uv = Path(environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    yield from _newest_first(uv.glob(f"cpython-{version}-*/bin/{name}"))
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    yield from _newest_first(pyenv.glob(f"{version}/bin/{name}"))


def _newest_first(found: Iterable[Path]) -> list[Path]:
    return sorted(found, key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.parts[-3])], reverse=True)


def _on_path(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    folders = dict.fromkeys((environ.get("PATH") or os.defpath).split(os.pathsep))
    for folder in filter(None, folders):
        path = Path(folder) / _name(version)
        if path.is_file() and os.access(path, os.X_OK):
            yield path


def _name(version: str) -> str:
    """Of the command: a version's first two numbers."""
    return f"python{'.'.join(version.split('.')[:2])}"
