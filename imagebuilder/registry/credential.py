"""One login: `Credential`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credential:
    """A user name with a password, or an identity token in its place; `source` says where it was found."""

    username: str
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    source: str = "the settings"

    def __bool__(self) -> bool:
        return bool(self.username or self.password or self.identity_token)
