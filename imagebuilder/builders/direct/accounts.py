"""Users of an image, added without running `useradd`."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from imagebuilder.errors import SpecError
from imagebuilder.layers.layer import TarEntry
from imagebuilder.layers.tar_header import Kind

if TYPE_CHECKING:
    from imagebuilder.builders.direct.facts import BaseFacts

# The range that useradd takes ids of people from (login.defs, UID_MIN and UID_MAX).
_FIRST, _LAST = 1000, 60_000
_HOME_MODE = 0o700


class Accounts:
    """The accounts of a base and those added to it; passwords are locked, so /etc/shadow need not know them."""

    def __init__(self, facts: BaseFacts) -> None:
        self._passwd = _lines(facts.texts.get("etc/passwd", "root:x:0:0:root:/root:/bin/sh"))
        self._group = _lines(facts.texts.get("etc/group", "root:x:0:"))
        self._skeleton = {
            path.removeprefix("etc/skel/"): text for path, text in facts.texts.items() if path.startswith("etc/skel/")
        }
        self.changed = False

    def ids(self, name: str) -> tuple[int, int]:
        """The user and primary group ids of a user, or of `uid` and `uid:gid`.

        Raises:
            SpecError: there is no such user.
        """
        user, _, group = name.partition(":")
        if user.isdigit():
            return int(user), int(group) if group.isdigit() else int(user)
        for parts in self._passwd:
            if parts[0] == user:
                return int(parts[2]), int(parts[3])
        raise SpecError(f"the image has no user {user!r}", hint=f'make it with with_user("{user}")')

    def home(self, name: str) -> str:
        """A user's home."""
        return next((parts[5] for parts in self._passwd if parts[0] == name and len(parts) > 5), "/")

    def add(self, name: str, uid: int | None) -> list[TarEntry]:
        """Add a user with a group and a home; gives the home's entries, none where the user exists.

        Raises:
            SpecError: the user exists under another id, or the id is another user's.
        """
        for parts in self._passwd:
            if parts[0] == name:
                if uid is not None and int(parts[2]) != uid:
                    raise SpecError(f"user {name} exists in the base with uid {parts[2]}, not {uid}")
                return []
            if uid is not None and int(parts[2]) == uid:
                raise SpecError(f"uid {uid} is {parts[0]}'s in the base", hint="choose another uid, or leave it out")
        number = self._free() if uid is None else uid
        if not any(int(parts[2]) == number for parts in self._group):
            self._group.append([name, "x", str(number), ""])
        home = f"/home/{name}"
        self._passwd.append([name, "*", str(number), str(number), "", home, "/bin/sh"])
        self.changed = True
        root = home.lstrip("/")
        files = [TarEntry.file(posixpath.join(root, path), text.encode()) for path, text in self._skeleton.items()]
        return [TarEntry(root, Kind.FOLDER, _HOME_MODE), *files]

    def entries(self) -> list[TarEntry]:
        """The account files."""
        return [
            TarEntry.file(path, "".join(":".join(parts) + "\n" for parts in lines).encode())
            for path, lines in (("etc/passwd", self._passwd), ("etc/group", self._group))
        ]

    def _free(self) -> int:
        taken = {int(parts[2]) for lines in (self._passwd, self._group) for parts in lines}
        return max([number for number in taken if _FIRST <= number <= _LAST], default=_FIRST - 1) + 1


def _lines(text: str) -> list[list[str]]:
    lines = (line.split(":") for line in text.splitlines() if line and not line.startswith("#"))
    return [parts for parts in lines if len(parts) > 2 and parts[2].isdigit()]
