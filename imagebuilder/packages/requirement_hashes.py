"""The hashes that a requirements file allows: uv verifies them when it installs, not when it resolves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imagebuilder.errors import BuildError
from imagebuilder.packages.arguments import UntranslatableError
from imagebuilder.sources.material import Text
from imagebuilder.sources.requirements import logical_lines

if TYPE_CHECKING:
    from imagebuilder.packages.locked import LockedFile, LockedPackage
    from imagebuilder.sources.material import Material

_HASH = re.compile(r"\s--hash[= ](?P<kind>[a-z0-9]+):(?P<hex>[0-9a-fA-F]+)")
_NAME = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[|[=<>!~;@]|\s|\Z)")


@dataclass(frozen=True)
class AllowedHashes:
    """SHA-256 digests by the name of a package; `required` where every package must have some."""

    by_name: dict[str, frozenset[str]] = field(default_factory=dict)
    required: bool = False

    def keep(self, package: LockedPackage, where: str) -> LockedPackage:
        """The package with the files that are allowed.

        Raises:
            BuildError: none is, or no hash is given where one is required.
        """
        allowed = self.by_name.get(package.name)
        if allowed is None:
            if self.required:
                raise BuildError(
                    f"{where}: --require-hashes is given, and {package} has no --hash",
                    hint="write the file with `uv pip compile --generate-hashes`",
                )
            return package

        def fits(file: LockedFile | None) -> bool:
            return file is not None and file.sha256 in allowed

        kept = replace(
            package,
            wheels=tuple(filter(fits, package.wheels)),
            sdist=package.sdist if fits(package.sdist) else None,
        )
        if not kept.wheels and kept.sdist is None:
            raise BuildError(
                f"{where}: no file of {package} has one of the hashes that are given for it",
                hint="write the file anew with `uv pip compile --generate-hashes`; if it is new, ask where its files "
                "come from",
            )
        return kept


def allowed_hashes(material: Material, *, required: bool) -> AllowedHashes:
    """Read the hashes in a requirements file and the files it includes.

    Raises:
        UntranslatableError: a hash of another kind is given, or one for a file on this machine.
    """
    found: dict[str, set[str]] = {}
    for _, piece in material.pieces:
        if not isinstance(piece, Text):
            continue
        for _, line in logical_lines(piece.data.decode()):
            required = required or line.split()[0] == "--require-hashes"
            if line.startswith("--no-binary"):
                raise UntranslatableError("its requirements ask with --no-binary for packages to be built")
            hashes = list(_HASH.finditer(line))
            if not hashes:
                continue
            name = _NAME.match(line)
            digests = {one["hex"].lower() for one in hashes if one["kind"] == "sha256"}
            if name is None or not digests:
                raise UntranslatableError("its requirements have a --hash that is not a SHA-256 of a named package")
            found.setdefault(re.sub(r"[-_.]+", "-", name["name"]).lower(), set()).update(digests)
    return AllowedHashes({name: frozenset(digests) for name, digests in found.items()}, required)
