"""What the paths in a lock mean: places in a layer's material, and nothing outside it."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from imagebuilder.sources.toml_fields import Fields


@dataclass(frozen=True)
class Places:
    """`entry` is the folder of the lock, as a place in the material; `stage` where the material was written to."""

    entry: str = ""
    stage: str | None = None

    def place(self, path: str, data: Fields) -> str:
        """A path or file URL as a place; `""` is the material itself.

        Raises:
            SourceError: it leads elsewhere.
        """
        shown = path
        if path.startswith("file:"):
            parts = urlsplit(path)
            if parts.netloc not in ("", "localhost"):
                raise data.error(f"names {path[:200]!r}, a file of another machine")
            path = unquote(parts.path)
        if path.startswith("/"):
            if self.stage is None:
                raise data.error(f"names {shown[:200]!r}, a place that no image has")
            return self.inside(posixpath.relpath(path, self.stage), data, shown)
        return self.inside(posixpath.join(self.entry, path), data, shown)

    def inside(self, path: str, data: Fields, shown: str | None = None) -> str:
        """A relative path without detours.

        Raises:
            SourceError: it leads out of its folder.
        """
        found = posixpath.normpath(path)
        if not path.isprintable() or "\\" in path or found.startswith(("/", "../")) or found == "..":
            raise data.error(f"names {(shown or path)[:200]!r}, a place outside the files of its layer")
        return "" if found == "." else found
