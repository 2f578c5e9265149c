"""What an installer would make of a wheel in a virtual environment, as entries of a layer."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from imagebuilder.layers import record, scripts
from imagebuilder.layers.layer import Packed, TarEntry
from imagebuilder.layers.tar_header import Kind
from imagebuilder.layers.zip_directory import BadZipError

if TYPE_CHECKING:
    from imagebuilder.layers.target import InstallTarget
    from imagebuilder.layers.wheel import WheelFile
    from imagebuilder.layers.zip_directory import Member

INSTALLER: Final = b"imagebuilder"
# What the environment itself consists of: see skeleton.py. uv refuses such scripts as well.
_RESERVED = re.compile(r"(?:bin/(?:pythonw?[0-9.]*|activate(?:\..*)?|activate_this\.py)|pyvenv\.cfg|lib64|lib|bin)\Z")
# PyPA "Binary distribution format": RECORD's signatures are of the wheel, not of what is installed.
_DROPPED: Final = ("RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json")


def install(wheel: WheelFile, target: InstallTarget) -> list[TarEntry]:
    """The files, and the folders that would be empty, with paths below `target.root`; no parents, in any order.

    INSTALLER names us, and REQUESTED is always there, as uv does it: what a layer holds depends on its wheels and
    where they came from alone.

    Raises:
        SourceError: the wheel would write outside the environment, over its interpreter, or one path twice.
    """
    try:
        return _Installation(wheel, target).entries()
    except BadZipError as error:
        raise wheel.bad(error) from None


class _Installation:
    def __init__(self, wheel: WheelFile, target: InstallTarget) -> None:
        self.wheel = wheel
        self.target = target
        self.found: dict[str, TarEntry] = {}
        self.rows: dict[str, record.Row] = {}

    def entries(self) -> list[TarEntry]:
        wheel, site = self.wheel, self.target.site_packages
        dropped = {f"{wheel.dist_info}/{name}" for name in _DROPPED}
        for name, member in wheel.files.items():
            if name in dropped:
                continue
            place = self.place(name)
            root, _, rest = name.partition("/")
            if root in wheel.data_folders and rest.startswith("scripts/"):
                self.script(place, member)
            else:
                self.packed(place, member, executable=bool(member.mode & 0o111))
        entry_points = wheel.read(f"{wheel.dist_info}/entry_points.txt")
        if entry_points:
            for script, content in scripts.entry_point_scripts(entry_points, self.target):
                self.found.pop(f"{self.target.root}/bin/{script}", None)  # installers generate after they copy
                self.written(f"bin/{script}", content, executable=True)
        self.written(f"{site}/{wheel.dist_info}/INSTALLER", INSTALLER)
        self.written(f"{site}/{wheel.dist_info}/REQUESTED", b"")
        if wheel.direct_url:
            self.written(f"{site}/{wheel.dist_info}/direct_url.json", wheel.direct_url.encode())
        own = f"{wheel.dist_info}/RECORD"
        rows = [*self.rows.values(), record.Row(own, "", b"", None)]
        marked = bool(wheel.files[own].mode & 0o111)  # some builds mark it, and uv keeps that
        self.add(TarEntry.file(self.path(f"{site}/{own}"), record.render(rows), executable=marked))
        return [*self.found.values(), *self.empty_folders()]

    def place(self, name: str) -> str:
        """Where a file of the wheel goes, below the prefix."""
        root, _, rest = name.partition("/")
        if root not in self.wheel.data_folders:
            return f"{self.target.site_packages}/{name}"
        scheme, _, inner = rest.partition("/")
        schemes = {
            "purelib": self.target.site_packages,
            "platlib": self.target.site_packages,
            "scripts": "bin",
            "headers": f"include/site/{self.target.python_name}/{self.wheel.name}",
            "data": "",
        }
        if scheme not in schemes or not inner:
            raise BadZipError(f"its member {name!r} is for no place that installers know")
        place = posixpath.join(schemes[scheme], inner)
        return f"lib/{place[6:]}" if place.startswith("lib64/") else place  # lib64 is a link to lib

    def script(self, place: str, member: Member) -> None:
        if not self.wheel.starts_with(member, scripts.PLACEHOLDER):
            self.packed(place, member, executable=True)
            return
        self.written(place, scripts.with_interpreter(self.wheel.read(member.name), self.target.prefix), executable=True)

    def packed(self, place: str, member: Member, *, executable: bool) -> None:
        row = self.wheel.record[member.name]
        content = Packed(self.wheel, member, row.digest)
        self.add(TarEntry(self.path(place), Kind.FILE, 0o755 if executable else 0o644, member.size, content))
        self.note(place, row.algorithm, row.digest, member.size)

    def written(self, place: str, content: bytes, *, executable: bool = False) -> None:
        self.add(TarEntry.file(self.path(place), content, executable=executable))
        row = record.Row.of(place, content)
        self.note(place, row.algorithm, row.digest, len(content))

    def note(self, place: str, algorithm: str, digest: bytes, size: int) -> None:
        site = f"{self.target.site_packages}/"
        path = place[len(site) :] if place.startswith(site) else posixpath.relpath(place, site)
        self.rows[path] = record.Row(path, algorithm, digest, size)

    def path(self, place: str) -> str:
        if _RESERVED.match(place):
            raise BadZipError(f"it would replace {self.target.prefix}/{place}, which is the environment's own")
        return f"{self.target.root}/{place}"

    def add(self, entry: TarEntry) -> None:
        if entry.path in self.found:
            raise BadZipError(f"it would write /{entry.path} twice")
        self.found[entry.path] = entry

    def empty_folders(self) -> list[TarEntry]:
        """The folders that the wheel has and no file is in: installers make them."""
        filled: set[str] = set()
        for name in self.wheel.files:
            while name := name.rpartition("/")[0]:
                if name in filled:
                    break
                filled.add(name)
        empty = [name for name in self.wheel.folders if name not in filled]
        return [
            TarEntry.folder(f"{self.target.root}/{self.target.site_packages}/{name}")
            for name in empty
            if name.partition("/")[0] not in self.wheel.data_folders
        ]
