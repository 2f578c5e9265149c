"""How registries are reached: `RegistrySettings` and the `HostSettings` of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imagebuilder.registry.origin import Origin, is_loopback
from imagebuilder.registry.proxy import Proxies
from imagebuilder.spec.reference import DOCKER_HUB
from imagebuilder.spec.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

# Docker Hub's references say docker.io, its API answers at registry-1.
_HUB_API = "registry-1.docker.io"
_DEFAULT_CERTS = ("/etc/containers/certs.d", "/etc/docker/certs.d")


class HostSettings(Value):
    """What is particular to one registry.

    `plain_http`: None means http for this machine and https for all others. `mirrors`: `host[:port][/prefix]`, asked
    before the registry when pulling and checking, never pushed to. `denied_means_absent`: for registries that deny what
    does not exist. `ca_bundle`: a PEM file trusted besides the system's. `chunk_size`: upload blobs in pieces of so
    many bytes, for a proxy that limits the size of a request.
    """

    plain_http: bool | None = None
    mirrors: tuple[str, ...] = ()
    denied_means_absent: bool = False
    ca_bundle: str | None = None
    chunk_size: int | None = None


_DEFAULT = HostSettings()
_NO_HOSTS: Final[Mapping[str, HostSettings]] = {}
_NO_PROXIES: Final = Proxies()


class RegistrySettings(Value):
    """How registries are reached; times in seconds.

    `ca_bundle` replaces the system's certificates, as SSL_CERT_FILE does; `certs_d` are folders such as
    /etc/docker/certs.d, with `<host:port>/*.crt` for authorities and `*.cert` with `*.key` for us.
    """

    hosts: Mapping[str, HostSettings] = _NO_HOSTS
    ca_bundle: str | None = None
    certs_d: tuple[str, ...] = _DEFAULT_CERTS
    proxies: Proxies = _NO_PROXIES
    connect_timeout: float = 5.0
    stall_timeout: float = 20.0
    operation_timeout: float = 60.0
    connections: int = 64
    attempts: int = 6
    user_agent: str = "imagebuilder"

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], hosts: Mapping[str, HostSettings] | None = None
    ) -> RegistrySettings:
        """The defaults with the usual proxy variables and SSL_CERT_FILE.

        Raises:
            ConfigError: a proxy variable is not a URL we can use.
        """
        return cls(
            hosts=dict(hosts or {}),
            ca_bundle=environ.get("SSL_CERT_FILE") or None,
            proxies=Proxies.from_environ(environ),
        )

    def host(self, registry: str) -> HostSettings:
        """The settings of one registry, by the name that references have for it."""
        return self.hosts.get(DOCKER_HUB if registry == _HUB_API else registry, _DEFAULT)

    def origin(self, registry: str) -> Origin:
        """Where a registry's API answers."""
        authority = _HUB_API if registry == DOCKER_HUB else registry
        plain = self.host(registry).plain_http
        if plain is None:
            plain = is_loopback(Origin.at("http", authority).host)
        return Origin.at("http" if plain else "https", authority)
