"""The deploy file: which images are to be in which registries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagebuilder.errors import ConfigError, InputError, InvalidReferenceError
from imagebuilder.spec.reference import Reference
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from pathlib import Path

_LISTS = ("registries", "platforms")
_ENTRY = ("spec", "names", *_LISTS)


@dataclass(frozen=True)
class Entry:
    """One spec of a deploy file, and what it says about that one; empty where it says nothing."""

    spec: Path
    names: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()


def read_deploy(path: Path) -> list[Entry]:
    """Read a deploy file: `specs`, `registries`, `platforms`; a spec may be a table with its own of all.

    Raises:
        ConfigError: it cannot be read, or says what means nothing.
    """
    try:
        table = load_toml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except InputError as error:
        raise ConfigError(error.message, hint=error.hint) from error
    _known(table, ("specs", *_LISTS), str(path))
    specs = table.get("specs")
    if not isinstance(specs, list) or not specs:
        raise ConfigError(f"{path} lists no specs", hint='write specs = ["serve.py", "train.py"]')
    shared = {key: _strings(table, key, str(path)) for key in _LISTS}
    entries = []
    for number, given in enumerate(specs, start=1):
        where = f"{path}: spec {number}"
        entry = {"spec": given} if isinstance(given, str) else given
        if not isinstance(entry, dict) or not isinstance(entry.get("spec"), str):
            raise ConfigError(f"{where} is {given!r}", hint='write "serve.py", or {spec = "serve.py", names = ["web"]}')
        _known(entry, _ENTRY, where)
        registries, platforms = (_strings(entry, key, where) or shared[key] for key in _LISTS)
        names = _strings(entry, "names", where)
        entries.append(
            Entry(path.parent / entry["spec"], names, tuple(check_place(one) for one in registries), platforms)
        )
    return entries


def check_place(text: str) -> str:
    """Return `host[:port][/path]` without a slash at its end, if it is one.

    Raises:
        ConfigError: it is not.
    """
    place = text.rstrip("/")
    try:
        reference = Reference.parse(f"{place}/name")
    except InvalidReferenceError as error:
        raise ConfigError(
            f"{text!r} is no registry: {error.message}", hint="write it as host[:port][/path], such as ghcr.io/team"
        ) from None
    if reference.tag or reference.digest or not place:
        raise ConfigError(f"{text!r} is no registry", hint="write it as host[:port][/path], such as ghcr.io/team")
    return place


def _known(table: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in keys:
            raise ConfigError(f"{where}: {key!r} is not a setting", hint=f"it can be {', '.join(keys)}")


def _strings(table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ConfigError(f"{where}: {key} is {value!r}, not a list of strings")
    return tuple(value)
