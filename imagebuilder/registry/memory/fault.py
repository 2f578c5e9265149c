"""What goes wrong on purpose: `Fault`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Fault:
    """A rule that spoils the next `times` requests whose method and path match (`path` is searched as a pattern).

    `delay`: seconds before the answer. `status`, `headers`, `body`: an answer in place of the true one; headers alone
    change the true answer, a None takes one away. `reset`: cut the connection before answering, or after `read` bytes
    of the request's body. `lose`: do the work, then cut. `stall`: send half of the answer, then nothing for so many
    seconds. `truncate`: end the body early by so many bytes. `corrupt`: change a byte of the body.
    """

    method: str = ""
    path: str = ""
    times: int | None = 1
    after: int = 0
    delay: float = 0.0
    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes = b""
    reset: bool = False
    read: int | None = None
    lose: bool = False
    stall: float = 0.0
    truncate: int = 0
    corrupt: bool = False
    hits: int = 0

    def takes(self, method: str, path: str) -> bool:
        """Whether this request is spoilt; counts it."""
        if self.method and method != self.method:
            return False
        if self.path and not re.search(self.path, path):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    length: int = 0

    @property
    def authorization(self) -> str | None:
        """Its Authorization header."""
        return self.headers.get("authorization")
