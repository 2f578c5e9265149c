"""Users of an image, added without running `useradd`."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from imagebuilder.errors import BuildError
from imagebuilder.layers.layer import TarEntry
from imagebuilder.layers.tar_header import Kind

if TYPE_CHECKING:
    from imagebuilder.builders.direct.facts import BaseFacts

# The range that useradd takes ids of people from (login.defs, UID_MIN and UID_MAX).
_FIRST, _LAST = 1000, 60_000
_PASSWD, _GROUP = "etc/passwd", "etc/group"
_ROOT = {_PASSWD: "root:x:0:0:root:/root:/bin/sh\n", _GROUP: "root:x:0:\n"}


class Accounts:
    """The accounts of a base and those added to it; passwords are locked, so /etc/shadow need not know them."""

    def __init__(self, facts: BaseFacts) -> None:
        self._texts = {path: facts.texts.get(path) or text for path, text in _ROOT.items()}
        self._skeleton = {
            path.removeprefix("etc/skel/"): text for path, text in facts.texts.items() if path.startswith("etc/skel/")
        }
        self._home_mode = _home_mode(facts.texts.get("etc/login.defs", ""))

    def ids(self, name: str) -> tuple[int, int]:
        """The user and primary group ids of a user, or of `uid`, `uid:gid` and the like.

        Raises:
            BuildError: there is no such user or group.
        """
        user, _, group = name.partition(":")
        if user.isdigit():
            uid = gid = int(user)
        else:
            row = next((row for row in self._rows(_PASSWD) if row[0] == user and row[3].isdigit()), None)
            if row is None:
                raise BuildError(f"the image has no user {user!r}", hint=f'make it with with_user("{user}")')
            uid, gid = int(row[2]), int(row[3])
        if group.isdigit():
            gid = int(group)
        elif group:
            there = next((row for row in self._rows(_GROUP) if row[0] == group), None)
            if there is None:
                raise BuildError(f"the image has no group {group!r}")
            gid = int(there[2])
        return uid, gid

    def add(self, name: str, uid: int | None) -> list[TarEntry]:
        """Add a user with a group and a home, as `useradd` does; gives what is to be written, nothing if it exists.

        Raises:
            BuildError: the user exists under another id, or the id or the group's name is another's.
        """
        users, groups = self._rows(_PASSWD), self._rows(_GROUP)
        for row in users:
            if row[0] == name:
                if uid is not None and int(row[2]) != uid:
                    raise BuildError(f"user {name} exists in the base with uid {row[2]}, not {uid}")
                return []
            if uid is not None and int(row[2]) == uid:
                raise BuildError(f"uid {uid} is {row[0]}'s in the base", hint="choose another uid, or leave it out")
        taken = {int(row[2]) for row in groups}
        if any(row[0] == name and int(row[2]) != uid for row in groups):
            raise BuildError(f"the base has a group {name} already", hint="choose another name")
        number = _next({int(row[2]) for row in users}) if uid is None else uid
        group = number if uid is not None or number not in taken else _next(taken)
        if group not in taken:
            self._append(_GROUP, f"{name}:x:{group}:")
        home = f"home/{name}"
        self._append(_PASSWD, f"{name}:*:{number}:{group}::/{home}:/bin/sh")
        owner = number, group
        return [
            TarEntry(home, Kind.FOLDER, self._home_mode, owner=owner),
            *(_file(posixpath.join(home, path), text, owner) for path, text in sorted(self._skeleton.items())),
            *(_file(path, text, (0, 0)) for path, text in self._texts.items()),
        ]

    def _rows(self, path: str) -> list[list[str]]:
        rows = (line.split(":") for line in self._texts[path].splitlines() if not line.startswith("#"))
        return [row for row in rows if len(row) > 3 and row[2].isdigit()]

    def _append(self, path: str, line: str) -> None:
        text = self._texts[path]
        self._texts[path] = f"{text}{'' if text.endswith(chr(10)) else chr(10)}{line}\n"


def _file(path: str, text: str, owner: tuple[int, int]) -> TarEntry:
    data = text.encode(errors="surrogateescape")
    return TarEntry(path, Kind.FILE, 0o644, len(data), data, owner=owner)


def _next(taken: set[int]) -> int:
    """The id after the highest of people's."""
    return max([number for number in taken if _FIRST <= number <= _LAST], default=_FIRST - 1) + 1


def _home_mode(login_defs: str) -> int:
    """login.defs(5): HOME_MODE, or else what UMASK leaves."""
    said = re.search(r"^\s*HOME_MODE\s+([0-7]+)", login_defs, re.MULTILINE)
    if said:
        return int(said[1], 8)
    umask = re.search(r"^\s*UMASK\s+([0-7]+)", login_defs, re.MULTILINE)
    return 0o777 & ~int(umask[1], 8) if umask else 0o755
