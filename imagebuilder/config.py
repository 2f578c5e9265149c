"""The only reader of the environment and of configuration files; assembles an engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagebuilder.errors import ConfigError, SpecError
from imagebuilder.identity.recipe import DEFAULT_EPOCH, recipe
from imagebuilder.spec.credential import Index
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from imagebuilder.builders.site import Site
    from imagebuilder.engine import Engine
    from imagebuilder.identity.resolver import Resolver
    from imagebuilder.registry import Client
    from imagebuilder.registry.credential import Credential

FILE = "imagebuilder.toml"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY")
_SITE = {"ca_bundle": str, "index_url": str, "extra_index_urls": list, "network": str}
_HOST = {"plain_http": bool, "mirrors": list, "denied_means_absent": bool, "ca_bundle": str, "chunk_size": int}
_KEYS = {
    "registry": str,
    "builder": str,
    "epoch": int,
    "cache_dir": str,
    "on_unknown": str,
    "parallel": int,
    "cache_from": list,
    "cache_to": list,
    "images": dict,
    "secrets": dict,
    "site": dict,
    "registries": dict,
}


@dataclass(frozen=True)
class Config:
    """Settings after files, environment and flags, in that order; `source` is the file they were read from."""

    environ: Mapping[str, str] = field(repr=False)
    registry: str | None = None
    builder: str | None = None
    epoch: int = DEFAULT_EPOCH
    cache_dir: Path = Path()
    on_unknown: str = "fail"
    parallel: int = 2
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    site: Mapping[str, Any] = field(default_factory=dict, repr=False)
    registries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: Path | None = None

    def make_site(self) -> Site:
        """What steps get from the place they run at."""
        from imagebuilder.builders.site import Site

        proxies = {
            name: self.environ[spelled]
            for name in _PROXIES
            for spelled in (name, name.lower())
            if self.environ.get(spelled)
        }
        index = self.site.get("index_url")
        return Site(
            ca_bundle=self.site.get("ca_bundle"),
            index_url=Index.parse(index, "site.index_url") if index else None,
            extra_index_urls=tuple(Index.parse(url, "site.extra_index_urls") for url in self.site.get("extra_index_urls", ())),
            proxies=tuple(proxies.items()),
            network=self.site.get("network"),
        )

    def make_client(self, logins: Mapping[str, Credential] | None = None) -> Client:
        """A registry client with the user's credentials; `logins` win over what Docker and Podman keep."""
        from imagebuilder.registry import Client, CredentialStore, HostSettings, RegistrySettings

        hosts = {
            name: HostSettings(**{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()})
            for name, table in self.registries.items()
        }
        home = self.environ.get("HOME")
        credentials = CredentialStore(self.environ, Path(home) if home else None, dict(logins or {}))
        return Client(RegistrySettings.from_environ(self.environ, hosts), credentials)

    def make_resolver(self) -> Resolver:
        """What identifies images; needs the standard library alone."""
        from imagebuilder.identity.resolver import Resolver
        from imagebuilder.sources import Sources

        return Resolver(recipe(self.epoch), lambda: Sources(self.cache_dir / "sources"), self.images, self.registry)

    def make_engine(self, client: Client) -> Engine:
        """An engine that builds with BuildKit."""
        from imagebuilder.bases import BaseUsers
        from imagebuilder.builders.buildkit import BuildKitBuilder
        from imagebuilder.engine import Engine
        from imagebuilder.outputs.docker import Docker
        from imagebuilder.vault import Vault

        return Engine(
            resolver=self.make_resolver(),
            builder=BuildKitBuilder(self.cache_dir, self.environ, self.builder),
            vault=Vault(self.environ, self.secrets),
            bases=BaseUsers(client, Docker(self.environ)),
            site=self.make_site(),
        )


def load(
    folder: Path | None = None, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> Config:
    """Read the configuration that holds in a folder (the current one by default).

    The nearest `imagebuilder.toml`, or `pyproject.toml` with a `[tool.imagebuilder]` table, upwards; then variables
    `IMAGEBUILDER_*`; then flags. A later one wins.

    Raises:
        ConfigError: one of them makes no sense; the message says which.
    """
    environ = os.environ if environ is None else environ
    source, data = _find(folder or Path.cwd())
    settings = _checked(data, _KEYS, str(source))
    settings["site"] = _site(dict(settings.get("site", {})), environ, source)
    for name, table in settings.get("registries", {}).items():
        if not isinstance(table, dict):
            raise ConfigError(f"{source}: registries.{name} is not a table")
        _checked(table, _HOST, f"{source}: registries.{name}")
    for key in ("registry", "builder", "cache_dir", "on_unknown"):
        if value := environ.get(f"IMAGEBUILDER_{key.upper()}"):
            settings[key] = value
    for key in ("epoch", "parallel"):
        if value := environ.get(f"IMAGEBUILDER_{key.upper()}"):
            if not value.isdigit():
                raise ConfigError(f"IMAGEBUILDER_{key.upper()}={value!r} is not a number")
            settings[key] = int(value)
    for key, value in (flags or {}).items():
        if key == "secrets":
            settings["secrets"] = {**settings.get("secrets", {}), **value}
        elif value not in (None, ()):
            settings[key] = value
    if settings.get("on_unknown", "fail") not in ("fail", "build"):
        raise ConfigError(f"on_unknown = {settings['on_unknown']!r}", hint='write "fail" or "build"')
    recipe(settings.get("epoch", DEFAULT_EPOCH))
    settings["cache_dir"] = Path(settings.get("cache_dir") or _cache_dir(environ)).expanduser().absolute()
    for key in ("cache_from", "cache_to"):
        settings[key] = tuple(settings.get(key, ()))
    for table in ("images", "secrets"):
        for name, value in settings.get(table, {}).items():
            if not isinstance(value, str):
                raise ConfigError(f"{source}: {table}.{name} is not a string")
    return Config(environ=environ, source=source, **settings)


def _find(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    for parent in (folder, *folder.absolute().parents):
        own, project = parent / FILE, parent / "pyproject.toml"
        if own.is_file():
            return own, _read(own)
        if project.is_file():
            table = _read(project).get("tool", {}).get("imagebuilder")
            if table is not None:
                return project, table
    return None, {}


def _read(path: Path) -> dict[str, Any]:
    try:
        return load_toml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except SpecError as error:
        raise ConfigError(error.message) from error


def _checked(table: Mapping[str, Any], known: Mapping[str, type], where: str) -> dict[str, Any]:
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{where}: {key!r} is not a setting", hint=f"it can be {', '.join(sorted(known))}")
        if not isinstance(value, known[key]) or (known[key] is int and isinstance(value, bool)):
            raise ConfigError(f"{where}: {key} = {value!r} is not a {known[key].__name__}")
        if known[key] is list and not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{where}: {key} is not a list of strings")
    return dict(table)


def _site(table: dict[str, Any], environ: Mapping[str, str], source: Path | None) -> dict[str, Any]:
    site = _checked(table, _SITE, f"{source}: site")
    for key in ("ca_bundle", "index_url", "network"):
        if value := environ.get(f"IMAGEBUILDER_{key.upper()}"):
            site[key] = value
    # Where this machine's own tools need a CA bundle to reach anything, steps that build here do too.
    if "ca_bundle" not in site and environ.get("SSL_CERT_FILE"):
        site["ca_bundle"] = environ["SSL_CERT_FILE"]
    bundle = site.get("ca_bundle")
    if bundle and source is not None and not Path(bundle).is_absolute() and bundle in table.values():
        site["ca_bundle"] = str(source.parent / bundle)
    return site


def _cache_dir(environ: Mapping[str, str]) -> str:
    try:
        from platformdirs import user_cache_dir
    except ImportError:
        base = environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else "/tmp")  # noqa: S108
        return f"{base}/imagebuilder"
    return user_cache_dir("imagebuilder", appauthor=False)
