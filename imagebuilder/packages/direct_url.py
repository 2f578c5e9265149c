"""direct_url.json: where a package came from that no index was asked for (PyPA "Recording the direct URL origin")."""

from __future__ import annotations

import json
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imagebuilder.plan.ops import FILES_DIR

if TYPE_CHECKING:
    from imagebuilder.packages.locked import LockedFile, LockedPackage


def noted(file: LockedFile, package: LockedPackage) -> LockedFile:
    """The file with what installing it as the package must note."""
    return replace(file, direct_url=direct_url(package))


def direct_url(package: LockedPackage) -> str:
    """The text as uv writes it, which has no digests; empty for a package of an index.

    Files of this machine have the paths at which uv sees them in a step that runs: the same on every machine.
    """
    table: dict[str, Any]
    match package.source:
        case "index":
            return ""
        case "archive":
            file = next(one for one in (*package.wheels, package.sdist) if one is not None)
            table = {"url": file.url if file.place is None else _of_place(file.place), "archive_info": {}}
        case "directory":
            table = {"url": _of_place(package.place or ""), "dir_info": {}}
        case "vcs":
            kind, _, rest = package.origin.partition("+")
            repository, _, commit = rest.rpartition("@")
            asked = {"requested_revision": package.revision} if package.revision else {}
            table = {"url": repository, "vcs_info": {"vcs": kind, "commit_id": commit, **asked}}
    if package.subdirectory:
        table["subdirectory"] = package.subdirectory
    return json.dumps(table, separators=(",", ":"), ensure_ascii=False)


def _of_place(place: str) -> str:
    return f"file://{quote(posixpath.join(FILES_DIR, place).rstrip('/'))}"
