"""What an image stands on: the folders and links of its base, and those of its layers so far."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, TypeAlias

from imagebuilder.builders.direct.facts import Folder, follow
from imagebuilder.layers.merge import parents
from imagebuilder.layers.tar_header import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.layers import TarEntry

# What is at a path: a folder, a link and where it leads, or neither.
Fact: TypeAlias = "Folder | str | None"
_MOST_HOPS = 40


class Ground:
    """Folders and links so far, and what of them was looked at since `look`.

    `seen` is what the base has there: of a path that it lacks, the topmost folder that is missing. `ours` is what our
    own layers have there.
    """

    def __init__(self, facts: BaseFacts) -> None:
        self._base = facts
        self._own: dict[str, Fact] = {}
        self._links: dict[str, str] = dict(facts.links)
        self.look()

    def look(self) -> None:
        """Begin to note what is looked at."""
        self.seen: dict[str, Fact] = {}
        self.ours: dict[str, Fact] = {}

    def leads(self, path: str) -> str:
        """Where a path leads, through links."""
        path = path.strip("/")
        self._see(path, _MOST_HOPS)
        return follow(path, self._links)

    def folder(self, path: str) -> Folder | None:
        """A folder at a path that leads through no link."""
        self._see(path, 0)
        found = self._at(path)
        return found if isinstance(found, Folder) else None

    def add_folder(self, path: str) -> None:
        """A new folder of root's, and those above it."""
        for folder in (path, *parents(path)):
            if not isinstance(self._at(folder), Folder):
                self._own[folder] = Folder()

    def note(self, entries: Iterable[TarEntry], owner: tuple[int, int]) -> None:
        """Entries of a layer on top."""
        for entry in entries:
            if entry.kind is Kind.FOLDER:
                self.put(entry.path, Folder(entry.mode, *(entry.owner or owner)))
            elif entry.kind is Kind.LINK:
                self.put(entry.path, entry.link)
            elif entry.path in self._links:
                self.put(entry.path, None)

    def put(self, path: str, fact: Fact) -> None:
        """What a layer of ours has at a path."""
        self._own[path] = fact
        if isinstance(fact, str):
            self._links[path] = fact
        else:
            self._links.pop(path, None)

    def conflict(self, ours: Mapping[str, Fact]) -> str | None:
        """The first path at which our layers have something else than is said here."""
        return next((path for path, fact in ours.items() if self._own.get(path, fact) != fact), None)

    def _at(self, path: str) -> Fact:
        return self._own[path] if path in self._own else fact_of(self._base, path)

    def _see(self, path: str, hops: int) -> None:
        missing = False
        for place in (*reversed(list(parents(path))), path) if path else ():
            if not missing:
                self.seen[place] = below = fact_of(self._base, place)
                missing = not isinstance(below, Folder)
            if place in self._own:
                self.ours[place] = self._own[place]
            found = self._at(place)
            if isinstance(found, str) and hops:
                target = posixpath.join("/", posixpath.dirname(place), found, path[len(place) + 1 :])
                self._see(posixpath.normpath(target).lstrip("/"), hops - 1)
            if not isinstance(found, Folder):
                return


def fact_of(facts: BaseFacts, path: str) -> Fact:
    """What a base has at a path that leads through no link."""
    return facts.links[path] if path in facts.links else facts.folders.get(path)


def difference(seen: Mapping[str, Fact], facts: BaseFacts) -> str | None:
    """The first path at which a base has something else than was seen on another."""
    return next((path for path, fact in seen.items() if fact_of(facts, path) != fact), None)
