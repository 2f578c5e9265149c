"""The only reader of the environment and of configuration files; assembles an engine."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagebuilder.cache.amounts import parse_size
from imagebuilder.cache.kinds import SOURCES
from imagebuilder.errors import ConfigError
from imagebuilder.identity.recipe import DEFAULT_EPOCH, recipe
from imagebuilder.settings import (
    SETTINGS,
    VARIABLES,
    checked,
    find_table,
    registry_tables,
    shared_cache,
    site_table,
    strings,
    variables,
)
from imagebuilder.spec.credential import Index

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.builders.auto import AutoBuilder
    from imagebuilder.builders.buildkit import BuildKitBuilder
    from imagebuilder.builders.direct.builder import DirectBuilder
    from imagebuilder.builders.direct.pinning import Pinner
    from imagebuilder.builders.direct.registry_map import RegistryMap
    from imagebuilder.builders.port import Builder
    from imagebuilder.builders.site import Site
    from imagebuilder.builders.wheels import WheelStage
    from imagebuilder.engine import Engine
    from imagebuilder.identity.resolver import Resolver
    from imagebuilder.lock.locks import Locks
    from imagebuilder.plan.sdk import SdkFor
    from imagebuilder.registry import Client, HostSettings
    from imagebuilder.registry.credential import Credential
    from imagebuilder.sources.material import Material
    from imagebuilder.spec.reference import Reference

KINDS = ("auto", "direct", "buildkit")
CACHE_SIZE = "20GB"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY")


@dataclass(frozen=True)
class Config:
    """Settings after files, environment and flags, in that order; `source` is the file they were read from.

    `locks` are those of the images at hand, which a face looks up.
    """

    environ: Mapping[str, str] = field(repr=False)
    registry: str | None = None
    builder: str = "auto"
    epoch: int = DEFAULT_EPOCH
    locked: bool = False
    cache: Reference | None = None
    cache_write: bool = False
    cache_dir: Path = Path()
    cache_size: int = 0  # bytes
    on_unknown: str = "fail"
    parallel: int = 2
    bytecode: bool = True
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    site: Mapping[str, Any] = field(default_factory=dict, repr=False)
    registries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: Path | None = None
    locks: Locks | None = field(default=None, repr=False)

    def make_site(self) -> Site:
        """What steps get from the place they run at."""
        from imagebuilder.builders.site import Site

        index, extra = self.site.get("index_url"), self.site.get("extra_index_urls", ())
        spelled = ((name, (name, name.lower())) for name in _PROXIES)
        proxies = {name: self.environ[key] for name, keys in spelled for key in keys if self.environ.get(key)}
        return Site(
            ca_bundle=self.site.get("ca_bundle"),
            index_url=Index.parse(index, "site.index_url") if index else None,
            extra_index_urls=tuple(Index.parse(url, "site.extra_index_urls") for url in extra),
            proxies=tuple(proxies.items()),
            network=self.site.get("network"),
            bytecode=self.bytecode,
        )

    def make_client(self, logins: Mapping[str, Credential] | None = None) -> Client:
        """A registry client with the user's credentials; `logins` win over what Docker and Podman keep."""
        from imagebuilder.registry import Client, CredentialStore, RegistrySettings

        hosts = {name: _host(table) for name, table in self.registries.items()}
        home = self.environ.get("HOME")
        credentials = CredentialStore(self.environ, Path(home) if home else None, dict(logins or {}))
        return Client(RegistrySettings.from_environ(self.environ, hosts), credentials)

    def make_resolver(self) -> Resolver:
        """What identifies images; needs the standard library alone."""
        from imagebuilder.identity.resolver import Resolver
        from imagebuilder.sources import Sources

        folder = SOURCES.at(self.cache_dir)
        return Resolver(recipe(self.epoch), lambda: Sources(folder), self.images, self.registry, self.locks)

    def make_builder(self, client: Client) -> Builder:
        """The builder that `builder` names: auto, direct, buildkit, or a buildx builder for what must run."""
        if self.builder == "buildkit":
            return self._buildkit()
        if self.builder == "direct":
            return self.make_direct(client)
        return self._auto(client, self._stage())

    def _buildkit(self) -> BuildKitBuilder:
        from imagebuilder.builders.buildkit import BuildKitBuilder

        return BuildKitBuilder(self.cache_dir, self.environ, None if self.builder in KINDS else self.builder)

    def _auto(self, client: Client, stage: WheelStage) -> AutoBuilder:
        from imagebuilder.builders.auto import AutoBuilder

        return AutoBuilder(self.make_direct(client, stage), self._buildkit(), client, self.cache_dir)

    def _stage(self) -> WheelStage:
        from imagebuilder.builders.wheels import WheelStage

        return WheelStage(self.cache_dir, self.environ, None if self.builder in KINDS else self.builder)

    def _sdk(self, wanted: SdkFor) -> Material:
        from imagebuilder.builders.sdk import Sdks

        return Sdks(self.cache_dir, self.environ, self.make_site(), recipe(self.epoch).venv).material(wanted)

    def make_direct(self, client: Client, stage: WheelStage | None = None) -> DirectBuilder:
        """What assembles files, and puts what it assembled on another base; `stage` builds wheels."""
        from imagebuilder.builders.direct.builder import DirectBuilder

        return DirectBuilder(self.cache_dir, client, self.environ, stage, self._registry_map(client))

    def make_pinner(self, client: Client) -> Pinner:
        """What finds out what a lock pins."""
        from imagebuilder.builders.direct.pinning import Pinner

        if self.builder == "direct":
            return Pinner(self.cache_dir, client, self.environ)
        stage = self._stage()
        return Pinner(self.cache_dir, client, self.environ, stage, self._auto(client, stage).prefix_bases)

    def _registry_map(self, client: Client) -> RegistryMap | None:
        if self.cache is None:
            return None
        from imagebuilder.builders.direct.registry_map import RegistryMap

        return RegistryMap(client, self.cache, writable=self.cache_write)

    def make_engine(self, client: Client) -> Engine:
        """An engine with the user's settings."""
        from imagebuilder.bases import BaseUsers
        from imagebuilder.cache.prune import bounded
        from imagebuilder.engine import Engine
        from imagebuilder.outputs.docker import Docker
        from imagebuilder.vault import Vault

        return Engine(
            resolver=self.make_resolver(),
            builder=self.make_builder(client),
            vault=Vault(self.environ, self.secrets),
            bases=BaseUsers(client, Docker(self.environ)),
            sdks=self._sdk,
            site=self.make_site(),
            cache=lambda: bounded(self.cache_dir, self.cache_size),
        )


def load(
    folder: Path | None = None, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> Config:
    """Read the configuration that holds in a folder (the current one by default).

    The nearest `imagebuilder.toml`, or `pyproject.toml` with a `[tool.imagebuilder]` table, upwards; then variables
    `IMAGEBUILDER_*`; then flags. A later one wins; secrets are merged by key.

    Raises:
        ConfigError: one of them makes no sense; the message says which.
    """
    environ = os.environ if environ is None else environ
    source, table = find_table(folder or Path.cwd())
    settings = checked(table, SETTINGS, f"{source}")
    settings |= variables(environ, VARIABLES, SETTINGS)
    given = {key: value for key, value in (flags or {}).items() if value not in (None, ())}
    secrets = {**settings.get("secrets", {}), **given.pop("secrets", {})}
    settings |= given
    if settings.get("on_unknown", "fail") not in ("fail", "build"):
        raise ConfigError(f"on_unknown is {settings['on_unknown']!r}", hint='write "fail" or "build"')
    if settings.get("parallel", 1) < 1:
        raise ConfigError(f"parallel is {settings['parallel']}", hint="write 1 or more")
    recipe(settings.get("epoch", DEFAULT_EPOCH))
    settings["cache_dir"] = Path(settings.get("cache_dir") or _cache_dir(environ)).expanduser().absolute()
    settings["cache_size"] = parse_size(settings.get("cache_size") or CACHE_SIZE, "cache_size")
    settings["cache"] = shared_cache(settings.get("cache"), write=settings.get("cache_write", False))
    settings["site"] = site_table(settings.get("site", {}), environ, source)
    settings["secrets"] = strings(secrets, f"{source}: secrets")
    settings["images"] = strings(settings.get("images", {}), f"{source}: images")
    settings["registries"] = registry_tables(settings.get("registries", {}), environ, source)
    for key in ("cache_from", "cache_to"):
        settings[key] = tuple(settings.get(key, ()))
    return Config(environ=environ, source=source, **settings)


def _host(table: Mapping[str, Any]) -> HostSettings:
    from imagebuilder.registry import HostSettings

    settings: dict[str, Any] = {key: tuple(value) if key == "mirrors" else value for key, value in table.items()}
    return HostSettings(**settings)


def _cache_dir(environ: Mapping[str, str]) -> str:
    try:
        from platformdirs import user_cache_dir
    except ImportError:  # identifying needs no extra
        home = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/tmp')}/.cache"  # noqa: S108
        return f"{home}/imagebuilder"
    return user_cache_dir("imagebuilder", appauthor=False)
