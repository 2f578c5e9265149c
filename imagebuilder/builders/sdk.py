"""What the task SDK is in an image: a folder of packages beside those of the virtual environment, and its commands.

It is not installed among the user's packages: a path file appends its folder to the module search path, so that a
package which the user has too, such as protobuf, is the user's. Everything is pinned by the SDK's version; the bytes
depend on that, on the Python, and on nothing else.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.builders.direct.interpreters import interpreter_for, pinned_interpreter, version_of
from imagebuilder.builders.workspace import workspace
from imagebuilder.cache.kinds import SDKS
from imagebuilder.cache.notes import read_note, write_note
from imagebuilder.errors import BuildError, MissingDependencyError, SpecError
from imagebuilder.layers import InstallTarget
from imagebuilder.layers.scripts import entry_point_scripts
from imagebuilder.packages import Uv
from imagebuilder.sources.material import Material, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imagebuilder.builders.site import Site
    from imagebuilder.plan.sdk import SdkFor
    from imagebuilder.spec.python_version import PythonVersion

# What each version was released with; what flyteidl2 declares besides is never imported by the messages.
_PINS: Final = {"0.1.0": ("flyteidl2==2.0.53", "protobuf==7.36.2")}
# Of this project an image has the spec, which a task's module builds its images with.
_OF_IMAGEBUILDER: Final = ("__init__.py", "errors.py", "py.typed", "spec/")
_FOLDER: Final = "_tasksdk"
_PATH_FILE: Final = "tasksdk.pth"
# The extension modules of a Python look for these; with both, one folder serves every platform, and without a fitting
# one protobuf runs on its Python code.
_MACHINES: Final = ("x86_64", "aarch64")
_GLIBC: Final = "manylinux_2_28"
_EXTENSION: Final = ".abi3.so"
_COMMANDS: Final = "entry_points.txt"
_DROPPED: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
_LARGEST: Final = 64 << 20  # bytes
_FORM: Final = 1  # raised when the same version makes other files
_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Sdks:
    """Puts together what an image gets; each is kept under `cache_dir`."""

    cache_dir: Path
    environ: Mapping[str, str]
    site: Site
    venv: str

    def material(self, wanted: SdkFor) -> Material:
        """What is copied into the virtual environment.

        Raises:
            LockError: this machine lacks the Python that a lock names.
            MissingDependencyError: this machine lacks the SDK, or has another version.
            SpecError: there is no such version.
            BuildError: what it needs could not be fetched.
        """
        pins = _pins(wanted.version)
        own = _own_files(wanted.version)
        interpreter = self._interpreter(wanted)
        compiled_by = version_of(interpreter) if interpreter else None
        hasher = hashlib.sha256(repr((_FORM, wanted, pins, self.venv, compiled_by)).encode())
        for path, data in own.items():
            hasher.update(f"{path}\0{len(data)}\0".encode() + data)
        kept = SDKS.at(self.cache_dir) / f"{hasher.hexdigest()}.zip"
        archive = read_note(kept, _LARGEST)
        if archive is None:
            archive = self._archive(wanted, pins, own, interpreter if compiled_by else None)
            write_note(kept, archive)
        with zipfile.ZipFile(io.BytesIO(archive)) as found:
            pieces = [
                (one.filename, Text(found.read(one), one.filename.startswith("bin/"))) for one in found.infolist()
            ]
        return Material(tuple(pieces))

    def _interpreter(self, wanted: SdkFor) -> str | None:
        if wanted.bytecode is None:
            return interpreter_for(wanted.python, self.environ) if self.site.bytecode else None
        return pinned_interpreter("the task SDK", wanted.bytecode, self.environ) if wanted.bytecode else None

    def _archive(
        self, wanted: SdkFor, pins: tuple[str, ...], own: Mapping[str, bytes], interpreter: str | None
    ) -> bytes:
        with workspace(self.cache_dir / "work") as folder:
            site_packages = f"lib/python{wanted.python[0]}.{wanted.python[1]}/site-packages"
            tree = folder / "tree"
            packages = tree / site_packages / _FOLDER
            packages.mkdir(parents=True)
            self._fetch(pins, wanted.python, packages, folder)
            for path, data in own.items():
                target = packages / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            (tree / site_packages / _PATH_FILE).write_text(f"{_FOLDER}\n")
            if interpreter is not None:
                self._compile(interpreter, tree)
            entries = {path.relative_to(tree).as_posix(): path.read_bytes() for path in _files(tree)}
        environment = InstallTarget(prefix=self.venv, python=wanted.python)
        entry_points = next(data for path, data in own.items() if path.endswith(_COMMANDS))
        entries |= {f"bin/{name}": script for name, script in entry_point_scripts(entry_points, environment)}
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as opened:
            for path in sorted(entries):
                opened.writestr(zipfile.ZipInfo(path), entries[path])
        return archive.getvalue()

    def _fetch(self, pins: tuple[str, ...], python: PythonVersion, packages: Path, folder: Path) -> None:
        """The pinned packages, protobuf's extension for each machine under the name that this Python looks for."""
        for machine in _MACHINES:
            there = folder / machine
            arguments = ["pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(there)]
            arguments += ["--python-platform", f"{machine}-{_GLIBC}", "--python-version", f"{python[0]}.{python[1]}"]
            failure = Uv(self.environ, self.site).run([*arguments, "--link-mode", "copy", *pins], folder)
            if failure is not None:
                raise failure.error("the task SDK")
            tag = f".cpython-{python[0]}{python[1]}-{machine}-linux-gnu.so"
            for path in _files(there):
                name = path.relative_to(there).as_posix()
                if path.name in _DROPPED or "__pycache__" in path.parts or name.startswith(("bin/", ".")):
                    continue
                target = packages / name.replace(_EXTENSION, tag)
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)

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


def _own_files(version: str) -> dict[str, bytes]:
    """The files of the SDK and of the spec, as they are installed on this machine; editable ones too."""
    install = f'run pip install "tasksdk=={version}"'
    try:
        sdk, own = distribution("tasksdk"), distribution("imagebuilder")
    except PackageNotFoundError:
        raise MissingDependencyError("the image is to have the task SDK, which is not here", hint=install) from None
    if sdk.version != version:
        raise MissingDependencyError(
            f"the image is to have task SDK {version}, and this machine has {sdk.version}",
            hint=f'{install}, or ask for what is here: with_sdk("{sdk.version}")',
        )
    files = dict(_modules("tasksdk"))
    files |= {
        path: data for path, data in _modules("imagebuilder") if path.partition("/")[2].startswith(_OF_IMAGEBUILDER)
    }
    return {**files, **_metadata(sdk, "METADATA", _COMMANDS), **_metadata(own, "METADATA")}


def _modules(package: str) -> Iterator[tuple[str, bytes]]:
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations  # noqa: PT018 - a package that is installed
    root = Path(spec.submodule_search_locations[0])
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        if path.suffix in (".py", ".typed") and "__pycache__" not in name:
            yield f"{package}/{name}", path.read_bytes()


def _metadata(found: Distribution, *names: str) -> dict[str, bytes]:
    folder = f"{found.metadata['Name']}-{found.version}.dist-info"
    texts = {name: found.read_text(name) for name in names}
    return {f"{folder}/{name}": text.encode() for name, text in texts.items() if text}


def _files(folder: Path) -> list[Path]:
    """Every file below a folder, in the order of their paths."""
    found = (Path(where) / name for where, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.is_file())
