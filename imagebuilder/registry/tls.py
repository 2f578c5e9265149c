"""TLS contexts: whom we trust, and the certificates we show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.errors import ConfigError

if TYPE_CHECKING:
    import ssl

    from imagebuilder.registry.settings import RegistrySettings


def context_for(settings: RegistrySettings, registry: str) -> ssl.SSLContext:
    """The context for one registry: system or configured authorities, and its certs.d folder.

    Raises:
        ConfigError: a certificate file is missing or broken.
    """
    import ssl

    bundle = settings.ca_bundle
    own = settings.host(registry).ca_bundle
    path = bundle
    try:
        context = ssl.create_default_context(cafile=bundle)
        for path in filter(None, (own, *_authorities(settings, registry))):
            context.load_verify_locations(cafile=path)
        for path, key in _identities(settings, registry):
            context.load_cert_chain(path, key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"the certificates in {path} for {registry} cannot be used: {error}",
            hint="name a PEM file in ca_bundle or SSL_CERT_FILE",
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _folders(settings: RegistrySettings, registry: str) -> list[Path]:
    return [folder for folder in (Path(root) / registry for root in settings.certs_d) if folder.is_dir()]


def _authorities(settings: RegistrySettings, registry: str) -> list[str]:
    return [str(path) for folder in _folders(settings, registry) for path in sorted(folder.glob("*.crt"))]


def _identities(settings: RegistrySettings, registry: str) -> list[tuple[str, str]]:
    return [
        (str(path), str(path.with_suffix(".key")))
        for folder in _folders(settings, registry)
        for path in sorted(folder.glob("*.cert"))
    ]
