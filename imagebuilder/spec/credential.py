"""Credentials that stand inside a URL, and the URL without them."""

from __future__ import annotations

import re

from imagebuilder.errors import SpecError
from imagebuilder.spec.value import Value

# The userinfo of a URL (RFC 3986, section 3.2.1) anywhere in a text.
_IN_TEXT = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<userinfo>[^\s/@'\"]+)@"


class Credential(Value):
    """A user name and password; never shown."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Credential('***', '***')"


class Index(Value):
    """A package index: its URL without credentials, and the credentials."""

    url: str
    credential: Credential | None = None

    @classmethod
    def parse(cls, url: str, where: str) -> Index:
        """Split an index URL as users write it.

        Raises:
            SpecError: it is not an http, https or file URL.
        """
        if not isinstance(url, str) or not url.isprintable() or " " in url:
            raise SpecError(f"{where}: {mask(str(url))!r} is not a URL", hint='write index_url="https://host/simple"')
        from urllib.parse import unquote, urlsplit, urlunsplit

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.scheme == "file"):
            raise SpecError(
                f"{where}: {mask(url)!r} is not an http(s) or file URL", hint='write index_url="https://host/simple"'
            )
        if "@" not in parts.netloc:
            return cls(url)
        userinfo, _, host = parts.netloc.rpartition("@")
        username, _, password = userinfo.partition(":")
        return cls(urlunsplit(parts._replace(netloc=host)), Credential(unquote(username), unquote(password)))

    @property
    def masked(self) -> str:
        """The URL with `***` where the credentials stood."""
        return self.url.replace("://", "://***@", 1) if self.credential else self.url


def has_credentials(text: str) -> bool:
    """Whether a URL with a password or token stands in the text; a bare `git@` or `ssh://git@` is none."""
    return any(
        ":" in found["userinfo"] or found["scheme"].lower() in ("http://", "https://", "git+https://", "git+http://")
        for found in re.finditer(_IN_TEXT, text)
    )


def mask(text: str) -> str:
    """The text with `***` in place of every URL's credentials."""
    return re.sub(_IN_TEXT, r"\g<scheme>***@", text)
