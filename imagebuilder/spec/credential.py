"""Credentials that stand inside a URL, and the URL without them."""

from __future__ import annotations

import re

from imagebuilder.errors import SpecError
from imagebuilder.spec.value import Value

# The userinfo of a URL (RFC 3986, section 3.2.1) anywhere in a text, up to the last @: people forget to encode one.
_IN_TEXT = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<userinfo>[^\s/'\"]+)@"
# Where a user name alone is a token.
_HTTP = ("http://", "https://", "git+http://", "git+https://")
# A variable of the shell's or of pip's: it names a value and holds none.
_VARIABLE = r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})\Z"


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
        example = 'write index_url="https://host/simple"'
        checked: object = url  # a spec is written without a type checker, too
        if not isinstance(checked, str) or not url.isprintable() or " " in url:
            raise SpecError(f"{where}: {mask(str(url))!r} is not a URL", hint=example)
        from urllib.parse import unquote, urlsplit, urlunsplit

        try:
            parts = urlsplit(url)
            _ = parts.port  # the start of a password that holds a raw '/', '?' or '#' reads as one
        except ValueError:
            raise SpecError(
                f"{where}: what follows '://' is not a host and port",
                hint="percent-encode the user name and the password, for example '/' as %2F",
            ) from None
        if parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.scheme == "file"):
            raise SpecError(f"{where}: {mask(url)!r} is not an http(s) or file URL", hint=example)
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
    """Whether a URL with a password or token stands in the text; `ssh://git@` and `https://$TOKEN@` have none."""
    return any(map(_is_credential, re.finditer(_IN_TEXT, text)))


def mask(text: str) -> str:
    """The text with `***` in place of every URL's credentials."""
    return re.sub(_IN_TEXT, lambda found: f"{found['scheme']}***@" if _is_credential(found) else found[0], text)


def _is_credential(found: re.Match[str]) -> bool:
    username, _, password = found["userinfo"].partition(":")
    secret = password or (username if found["scheme"].lower() in _HTTP else "")
    return bool(secret) and not re.match(_VARIABLE, secret)
