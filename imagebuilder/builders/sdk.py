"""What the task SDK is in an image: a folder of packages beside those of the virtual environment, and its commands.

It is not installed among the user's packages: a path file appends its folder to the module search path, so that a
package which the user has too, such as protobuf, is the user's. Everything is pinned by the SDK's version. The SDK
itself is the one installed on this machine; where there is none, or another, it comes from the package index.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.builders.direct.interpreters import interpreter_for, pinned_interpreter, version_of
from imagebuilder.builders.sdk_files import COMMANDS, DISTRIBUTIONS, belongs, files_of, installed, metadata_of_image
from imagebuilder.builders.sdk_kept import pack, unpack
from imagebuilder.builders.workspace import workspace
from imagebuilder.cache.kinds import SDKS
from imagebuilder.cache.notes import read_note, write_note
from imagebuilder.errors import BuildError, LockError, SpecError
from imagebuilder.layers import InstallTarget
from imagebuilder.layers.scripts import entry_point_scripts
from imagebuilder.packages import Uv
from imagebuilder.plan.sdk import pinned_digest
from imagebuilder.sources.material import LaterMaterial, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.builders.sdk_files import Installed
    from imagebuilder.builders.site import Site
    from imagebuilder.packages.uv import UvFailure
    from imagebuilder.plan.sdk import SdkFor
    from imagebuilder.sources.material import Material, Piece
    from imagebuilder.spec.python_version import PythonVersion

# What each version was released with; what flyteidl2 declares besides is never imported by the messages.
_PINS: Final = {"0.1.0": ("flyteidl2==2.0.53", "protobuf==7.36.2")}
_FOLDER: Final = "_tasksdk"
_PATH_FILE: Final = "tasksdk.pth"
# The extension modules of a Python look for these; with both, one folder serves every platform, and without a fitting
# one protobuf runs on its Python code.
_MACHINES: Final = ("x86_64", "aarch64")
_GLIBC: Final = "manylinux_2_28"
_EXTENSION: Final = ".abi3.so"
_LARGEST: Final = 64 << 20  # bytes
_FORM: Final = 3  # raised when the same version makes other files
_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Sdks:
    """Puts together what an image gets; each is kept under `cache_dir`."""

    cache_dir: Path
    environ: Mapping[str, str]
    site: Site
    venv: str

    def material(self, wanted: SdkFor) -> Material:
        """What is copied into the virtual environment; nothing is fetched before its pieces are looked at.

        Looking raises BuildError where what it needs could not be fetched, LockError where it is not what was locked.

        Raises:
            LockError: this machine lacks the Python that a lock names.
            SpecError: there is no such version.
        """
        pins = _pins(wanted.version)
        own = installed(wanted.version)
        if own is None:
            pins = (*pins, *(f"{name}=={wanted.version}" for name in DISTRIBUTIONS))
        interpreter = self._interpreter(wanted)
        compiled_by = _mark(interpreter) if interpreter else None
        parts = (_FORM, wanted[:3], pins, self.venv, compiled_by, own and own.mark)
        kept = hashlib.sha256(repr(parts).encode()).hexdigest()
        # Layers are remembered by the material's key: what was not compared with this lock is not taken for it.
        key = hashlib.sha256(f"{kept} {wanted.digest}".encode()).hexdigest()
        return LaterMaterial(key, lambda: self._pieces(kept, wanted, pins, own, interpreter))

    def _interpreter(self, wanted: SdkFor) -> str | None:
        if wanted.bytecode is None:
            return interpreter_for(wanted.python, self.environ) if self.site.bytecode else None
        return pinned_interpreter("the task SDK", wanted.bytecode, self.environ) if wanted.bytecode else None

    def _pieces(
        self, key: str, wanted: SdkFor, pins: tuple[str, ...], own: Installed | None, interpreter: str | None
    ) -> list[tuple[str, Piece]]:
        kept = SDKS.at(self.cache_dir) / key
        files = unpack(read_note(kept, _LARGEST) or b"")
        if files is None:
            files = self._files(wanted, pins, own, interpreter)
            write_note(kept, pack(files))
        pieces: list[tuple[str, Piece]] = [(path, Text(data, path.startswith("bin/"))) for path, data in files.items()]
        if wanted.digest and pinned_digest(pieces) != wanted.digest:
            raise LockError(
                f"the task SDK {wanted.version} that this machine has is not the one that was locked",
                hint="install the release that was locked, or lock the one that is here: "
                "`imagebuild lock --upgrade-package tasksdk`",
            )
        return pieces

    def _files(
        self, wanted: SdkFor, pins: tuple[str, ...], own: Installed | None, interpreter: str | None
    ) -> dict[str, bytes]:
        with workspace(self.cache_dir / "work") as folder:
            site_packages = f"lib/python{wanted.python[0]}.{wanted.python[1]}/site-packages"
            tree = folder / "tree"
            packages = tree / site_packages / _FOLDER
            packages.mkdir(parents=True)
            self._fetch(wanted, pins, packages, folder)
            for path, data in own.files() if own else ():
                target = packages / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            for found in packages.glob("*.dist-info/METADATA"):
                found.write_bytes(metadata_of_image(found.read_bytes()))
            (tree / site_packages / _PATH_FILE).write_text(f"{_FOLDER}\n")
            if interpreter is not None and version_of(interpreter) is not None:
                self._compile(interpreter, tree)
            entries = {path.relative_to(tree).as_posix(): path.read_bytes() for path in files_of(tree)}
        environment = InstallTarget(prefix=self.venv, python=wanted.python)
        commands = entries[f"{site_packages}/{_FOLDER}/tasksdk-{wanted.version}.dist-info/{COMMANDS}"]
        entries |= {f"bin/{name}": script for name, script in entry_point_scripts(commands, environment)}
        return dict(sorted(entries.items()))

    def _fetch(self, wanted: SdkFor, pins: tuple[str, ...], packages: Path, folder: Path) -> None:
        """The pinned packages, protobuf's extension for each machine under the name that this Python looks for."""
        python = wanted.python
        with ThreadPoolExecutor(len(_MACHINES), "sdk") as pool:
            failures = list(pool.map(lambda machine: self._install(machine, pins, python, folder), _MACHINES))
        for machine, failure in zip(_MACHINES, failures, strict=True):
            if failure is not None:
                raise _unfetched(wanted.version, failure)
            tag = f".cpython-{python[0]}{python[1]}-{machine}-linux-gnu.so"
            there = folder / machine
            for path in files_of(there):
                name = path.relative_to(there).as_posix()
                target = packages / name.replace(_EXTENSION, tag)
                if belongs(name) and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)

    def _install(self, machine: str, pins: tuple[str, ...], python: PythonVersion, folder: Path) -> UvFailure | None:
        arguments = ["pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
        arguments += ["--target", str(folder / machine), "--python-platform", f"{machine}-{_GLIBC}"]
        arguments += ["--python-version", f"{python[0]}.{python[1]}", *pins]
        (folder / f"in-{machine}").mkdir()
        return Uv(self.environ, self.site).run(arguments, folder / f"in-{machine}", stage=folder)

    def _compile(self, interpreter: str, tree: Path) -> None:
        """Bytecode that says by content what it was made from, under the names that it has in the image."""
        command = [interpreter, "-s", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
        done = subprocess.run(
            [*command, "-s", str(tree), "-p", self.venv, str(tree / "lib")],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**self.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": ""},
            timeout=_SECONDS,
        )
        if done.returncode != 0:
            raise BuildError(f"the task SDK could not be compiled: {done.stdout.strip()[-500:]}")


def _pins(version: str) -> tuple[str, ...]:
    try:
        return _PINS[version]
    except KeyError:
        known = ", ".join(_PINS)
        raise SpecError(
            f"there is no task SDK {version} that this version can put into an image",
            hint=f"choose one of {known}, or upgrade imagebuilder",
        ) from None


def _mark(interpreter: str) -> tuple[str, int, int]:
    """What tells one interpreter of this machine from another, without running it."""
    status = Path(interpreter).stat()
    return os.path.realpath(interpreter), status.st_size, status.st_mtime_ns


def _unfetched(version: str, failure: UvFailure) -> BuildError:
    return BuildError(
        failure.error("the task SDK").message,
        hint=f'say where its packages are (index_url), install it here (pip install "tasksdk=={version}"), or leave it '
        "out of the image: install_sdk=False",
    )
