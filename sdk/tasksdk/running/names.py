"""Names of runs and actions: the same call at the same place of the same run has the same name."""

from __future__ import annotations

import os
import re
from hashlib import blake2b

from tasksdk.errors import UserInputError

ROOT = "a0"
_PLAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?\Z")


def new_run_name() -> str:
    """A name that no other run has."""
    return "r" + os.urandom(9).hex()


def check_run_name(name: str) -> str:
    """The name, where it can name a run everywhere: a DNS label with room for an action's.

    Raises:
        UserInputError: it cannot.
    """
    given: object = name
    if not isinstance(given, str) or not _PLAIN.match(name):
        raise UserInputError(
            f"{name!r} is not the name of a run",
            hint="use up to 40 small letters, digits and dashes: nightly-2024-05-01",
        )
    return name


class ActionNames:
    """Names the actions of a run after their parent, their task, their inputs, and which call of these it is."""

    def __init__(self) -> None:
        self._calls: dict[bytes, int] = {}

    def next(self, parent: str | None, task: str, inputs: bytes) -> str:
        """The name of the next call."""
        if parent is None:
            return ROOT
        digest = blake2b(b"\0".join((parent.encode(), task.encode(), inputs)), digest_size=12)
        base = digest.digest()
        call = self._calls[base] = self._calls.get(base, 0) + 1
        if call > 1:
            digest.update(b"\0%d" % call)
        return "a" + digest.hexdigest()[:20]


def attempt_name(run: str, action: str, attempt: int) -> str:
    """The name of an attempt: a DNS label of at most 63 characters."""
    return f"{run}-{action}-{attempt}"
