"""Tables of settings: where they are found, and whether they make sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagebuilder.errors import ConfigError, InvalidReferenceError, SpecError
from imagebuilder.spec.reference import DOCKER_HUB, Reference
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "imagebuilder.toml"
PREFIX = "IMAGEBUILDER_"
MIRRORS = f"{PREFIX}MIRRORS"

SETTINGS: Mapping[str, type] = {
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
VARIABLES = tuple(key for key, kind in SETTINGS.items() if kind not in (list, dict))
_SITE_VARIABLES = ("ca_bundle", "index_url", "network")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_NAMES = {str: "a string", int: "a whole number", bool: "true or false", list: "a list of strings", dict: "a table"}


def find_table(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    """The nearest file with settings, upwards from a folder, and its table."""
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


def checked(table: object, known: Mapping[str, type], where: str) -> dict[str, Any]:
    """A table whose keys and types are known ones.

    Raises:
        ConfigError: it has others; `where` is named.
    """
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


def variables(environ: Mapping[str, str], keys: tuple[str, ...], known: Mapping[str, type]) -> dict[str, Any]:
    """The settings that stand in variables of the environment."""
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


def strings(table: Mapping[str, Any], where: str) -> dict[str, str]:
    """A table of strings."""
    for name, value in table.items():
        if not isinstance(value, str):
            raise ConfigError(f"{where}.{name} is {value!r}, not {_NAMES[str]}")
    return dict(table)


def site_table(table: dict[str, Any], environ: Mapping[str, str], source: Path | None) -> dict[str, Any]:
    """What steps get, of a file and the environment; paths are relative to the file."""
    site = checked(table, _SITE, f"{source}: site")
    if "ca_bundle" in site and source is not None:
        site["ca_bundle"] = str(source.parent / site["ca_bundle"])
    site |= variables(environ, _SITE_VARIABLES, _SITE)
    # Where this machine's own tools need a CA bundle to reach anything, steps that build here do too.
    if "ca_bundle" not in site and environ.get("SSL_CERT_FILE"):
        site["ca_bundle"] = environ["SSL_CERT_FILE"]
    return site


def registry_tables(
    table: Mapping[str, Any], environ: Mapping[str, str], source: Path | None
) -> dict[str, Mapping[str, Any]]:
    """What is set for registries by their hosts, with mirrors of the environment."""
    hosts: dict[str, Any] = {name: checked(host, _HOST, f"{source}: registries.{name}") for name, host in table.items()}
    for pair in environ.get(MIRRORS, "").split():
        name, equals, mirror = pair.partition("=")
        if not equals or not mirror:
            raise ConfigError(f"{MIRRORS} has {pair!r}", hint="write docker.io=mirror.corp:5000")
        host = hosts.setdefault(name, {})
        host["mirrors"] = [*host.get("mirrors", []), mirror]
    return hosts


def shared_cache(text: str | None, *, write: bool) -> Reference | None:
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
