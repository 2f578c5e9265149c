"""What a site needs only while building: a package index, a CA bundle, proxies, a network."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from imagebuilder.plan.render import CA_FILE
from imagebuilder.spec.credential import Index

# Every tool has its own variable for the same thing.
_CA_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
)


@dataclass(frozen=True)
class Site:
    """Settings of the place a build runs at; they reach steps as mounts and arguments, never the image.

    `proxies` are the usual variables (HTTP_PROXY, ...), which BuildKit passes on without recording them.
    """

    ca_bundle: str | None = None
    index_url: Index | None = None
    extra_index_urls: tuple[Index, ...] = ()
    proxies: tuple[tuple[str, str], ...] = ()
    network: str | None = None

    @property
    def script(self) -> str:
        """Shell that exports the settings at the start of a step; empty where there are none."""
        settings: dict[str, str] = {}
        if self.ca_bundle is not None:
            settings.update(dict.fromkeys(_CA_VARIABLES, CA_FILE))
        if self.index_url is not None:
            settings["UV_DEFAULT_INDEX"] = settings["PIP_INDEX_URL"] = with_credentials(self.index_url)
        if self.extra_index_urls:
            urls = " ".join(with_credentials(index) for index in self.extra_index_urls)
            settings["UV_INDEX"] = settings["PIP_EXTRA_INDEX_URL"] = urls
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())

    @property
    def secret_values(self) -> tuple[str, ...]:
        """What must not be shown in a log."""
        indexes = (*((self.index_url,) if self.index_url else ()), *self.extra_index_urls)
        return tuple(index.credential.password for index in indexes if index.credential)


def with_credentials(index: Index) -> str:
    """The URL with its credentials put back, for the process that must have them."""
    if index.credential is None:
        return index.url
    from urllib.parse import quote

    userinfo = f"{quote(index.credential.username, safe='')}:{quote(index.credential.password, safe='')}"
    return index.url.replace("://", f"://{userinfo}@", 1)
