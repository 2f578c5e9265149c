"""The only reader of the environment and of configuration files; assembles an engine."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagebuilder.cache.amounts import parse_size
from imagebuilder.cache.kinds import SOURCES
from imagebuilder.errors import ConfigError, InvalidReferenceError, SpecError
from imagebuilder.identity.recipe import DEFAULT_EPOCH, recipe
from imagebuilder.spec.credential import Index
from imagebuilder.spec.reference import DOCKER_HUB, Reference
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

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

FILE = "imagebuilder.toml"
PREFIX = "IMAGEBUILDER_"
KINDS = ("auto", "direct", "buildkit")
MIRRORS = f"{PREFIX}MIRRORS"
CACHE_SIZE = "20GB"

_SETTINGS: Mapping[str, type] = {
    "registry": str,
    "builder": str,
    "epoch": int,
    "locked": bool,
    "cache": str,
    "cache_write": bool,
    "cache_dir": str,
    "cache_size": str,
    "on_unknown": str,
    "parallel": int,
    "bytecode": bool,
    "cache_from": list,
    "cache_to": list,
    "images": dict,
    "secrets": dict,
    "site": dict,
    "registries": dict,
}
_SITE: Mapping[str, type] = {"ca_bundle": str, "index_url": str, "extra_index_urls": list, "network": str}
_HOST: Mapping[str, type] = {
    "plain_http": bool,
    "mirrors": list,
    "denied_means_absent": bool,
    "ca_bundle": str,
    "chunk_size": int,
}
# Settings that are one word, and so can stand in a variable: IMAGEBUILDER_REGISTRY and so on.
_VARIABLES = (
    "registry",
    "builder",
    "epoch",
    "locked",
    "cache",
    "cache_write",
    "cache_dir",
    "cache_size",
    "on_unknown",
    "parallel",
    "bytecode",
)
_SITE_VARIABLES = ("ca_bundle", "index_url", "network")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_NAMES = {str: "a string", int: "a whole number", bool: "true or false", list: "a list of strings", dict: "a table"}


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
        from imagebuilder.builders.auto import AutoBuilder
        from imagebuilder.builders.buildkit import BuildKitBuilder
        from imagebuilder.builders.wheels import WheelStage

        named = None if self.builder in KINDS else self.builder
        buildkit = BuildKitBuilder(self.cache_dir, self.environ, named)
        if self.builder == "buildkit":
            return buildkit
        if self.builder == "direct":
            return self.make_direct(client)
        direct = self.make_direct(client, WheelStage(self.cache_dir, self.environ, named))
        return AutoBuilder(direct, buildkit, client, self.cache_dir)

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

        return Pinner(self.cache_dir, client, self.environ)

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
    source, table = _find(folder or Path.cwd())
    settings = _checked(table, _SETTINGS, f"{source}")
    settings |= _variables(environ, _VARIABLES, _SETTINGS)
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
    settings["cache"] = _shared_cache(settings.get("cache"), write=settings.get("cache_write", False))
    settings["site"] = _site(settings.get("site", {}), environ, source)
    settings["secrets"] = _strings(secrets, f"{source}: secrets")
    settings["images"] = _strings(settings.get("images", {}), f"{source}: images")
    settings["registries"] = _registries(settings.get("registries", {}), environ, source)
    for key in ("cache_from", "cache_to"):
        settings[key] = tuple(settings.get(key, ()))
    return Config(environ=environ, source=source, **settings)


def _find(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    for parent in (folder, *folder.absolute().parents):
        own, project = parent / FILE, parent / "pyproject.toml"
        if own.is_file():
            return own, _read(own)
        if project.is_file():
            tool = _read(project).get("tool", {})
            table = tool.get("imagebuilder") if isinstance(tool, dict) else None
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


def _checked(table: object, known: Mapping[str, type], where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is not a table")
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{where}: {key!r} is not a setting", hint=f"it can be {', '.join(sorted(known))}")
        fits = isinstance(value, known[key]) and (known[key] is bool or not isinstance(value, bool))
        if isinstance(value, list):
            fits = fits and all(isinstance(item, str) for item in value)
        if not fits:
            raise ConfigError(f"{where}: {key} is {value!r}, not {_NAMES[known[key]]}")
    return dict(table)


def _variables(environ: Mapping[str, str], keys: tuple[str, ...], known: Mapping[str, type]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in keys:
        name = f"{PREFIX}{key.upper()}"
        value = environ.get(name)
        if not value:
            continue
        if known[key] is int and not value.isdigit():
            raise ConfigError(f"{name} is {value!r}, not {_NAMES[int]}")
        if known[key] is bool and value.lower() not in _TRUTH:
            raise ConfigError(f"{name} is {value!r}, not {_NAMES[bool]}")
        found[key] = int(value) if known[key] is int else _TRUTH[value.lower()] if known[key] is bool else value
    return found


def _strings(table: Mapping[str, Any], where: str) -> dict[str, str]:
    for name, value in table.items():
        if not isinstance(value, str):
            raise ConfigError(f"{where}.{name} is {value!r}, not {_NAMES[str]}")
    return dict(table)


def _site(table: dict[str, Any], environ: Mapping[str, str], source: Path | None) -> dict[str, Any]:
    site = _checked(table, _SITE, f"{source}: site")
    if "ca_bundle" in site and source is not None:
        site["ca_bundle"] = str(source.parent / site["ca_bundle"])
    site |= _variables(environ, _SITE_VARIABLES, _SITE)
    # Where this machine's own tools need a CA bundle to reach anything, steps that build here do too.
    if "ca_bundle" not in site and environ.get("SSL_CERT_FILE"):
        site["ca_bundle"] = environ["SSL_CERT_FILE"]
    return site


def _registries(
    table: Mapping[str, Any], environ: Mapping[str, str], source: Path | None
) -> dict[str, Mapping[str, Any]]:
    hosts: dict[str, Any] = {
        name: _checked(host, _HOST, f"{source}: registries.{name}") for name, host in table.items()
    }
    for pair in environ.get(MIRRORS, "").split():
        name, equals, mirror = pair.partition("=")
        if not equals or not mirror:
            raise ConfigError(f"{MIRRORS} has {pair!r}", hint="write docker.io=mirror.corp:5000")
        host = hosts.setdefault(name, {})
        host["mirrors"] = [*host.get("mirrors", []), mirror]
    return hosts


def _shared_cache(text: str | None, *, write: bool) -> Reference | None:
    """The repository that machines share, `registry/repository`."""
    if not text:
        if write:
            raise ConfigError(
                "cache_write is set, and no cache is",
                hint='name a repository: cache = "registry.example.com/team/cache"',
            )
        return None
    try:
        reference = Reference.parse(text)
    except InvalidReferenceError as error:
        raise ConfigError(f"cache is {text!r}: {error.message}", hint=error.hint) from None
    if reference.tag or reference.digest or reference.registry == DOCKER_HUB != text.partition("/")[0]:
        raise ConfigError(
            f"cache is {text!r}, not a registry and a repository", hint='write "registry.example.com/team/cache"'
        )
    return reference


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
