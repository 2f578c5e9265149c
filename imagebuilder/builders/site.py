"""What a site adds to steps: a package index, a CA bundle, proxies, a network; and whether they compile bytecode."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from imagebuilder.plan.render import CA_FILE

if TYPE_CHECKING:
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

    `proxies` are the usual variables (HTTP_PROXY, ...), which BuildKit passes on without recording them. `bytecode`
    says whether the modules of packages are compiled, which changes how fast an image starts, not what it means.
    """

    ca_bundle: str | None = None
    index_url: Index | None = None
    extra_index_urls: tuple[Index, ...] = ()
    proxies: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    network: str | None = None
    bytecode: bool = True

    @property
    def script(self) -> str:
        """Shell that exports the settings at the start of a step; empty where there are none."""
        settings: dict[str, str] = {}
        ca = "".join(f"  export {name}={CA_FILE}\n" for name in _CA_VARIABLES)
        guarded = f"if [ -r {CA_FILE} ]; then\n{ca}fi\n" if self.ca_bundle is not None else ""
        if self.index_url is not None:
            settings["UV_DEFAULT_INDEX"] = settings["PIP_INDEX_URL"] = with_credentials(self.index_url)
        if self.extra_index_urls:
            urls = " ".join(with_credentials(index) for index in self.extra_index_urls)
            settings["UV_INDEX"] = settings["PIP_EXTRA_INDEX_URL"] = urls
        return guarded + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())

    @property
    def secret_values(self) -> tuple[str, ...]:
        """What must not be shown in a log."""
        indexes = (*((self.index_url,) if self.index_url else ()), *self.extra_index_urls)
        passwords = [index.credential.password for index in indexes if index.credential]
        for _, url in self.proxies:
            passwords += [unquote(_password(url)), _password(url)]
        return tuple(filter(None, passwords))


def _password(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"http://{url}").password or ""
    except ValueError:
        return ""


def with_credentials(index: Index) -> str:
    """The URL with its credentials put back, for the process that must have them."""
    if index.credential is None:
        return index.url
    userinfo = f"{quote(index.credential.username, safe='')}:{quote(index.credential.password, safe='')}"
    return index.url.replace("://", f"://{userinfo}@", 1)
