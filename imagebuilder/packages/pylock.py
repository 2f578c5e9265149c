"""Lock files as PEP 751 defines them: read strictly, selected from for a target, written in one form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from imagebuilder.errors import SourceError, SpecError
from imagebuilder.packages.choose import wheel_name
from imagebuilder.packages.locked import LockedFile, LockedPackage, SourceKind
from imagebuilder.packages.places import Places
from imagebuilder.sources.toml_fields import Fields
from imagebuilder.sources.toml_text import dump
from imagebuilder.spec.credential import has_credentials
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imagebuilder.packages.target import PythonTarget

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_RELOCK: Final = "lock again, such as `uv export -o pylock.toml` or `pip lock`"
_SOURCES: Final[tuple[SourceKind, ...]] = ("vcs", "directory", "archive")


@dataclass(frozen=True)
class Lock:
    """A whole lock file, for every environment it is meant for."""

    packages: tuple[LockedPackage, ...]
    requires_python: str = ""
    environments: tuple[str, ...] = ()
    default_groups: tuple[str, ...] = ()


def parse(text: str, where: str, places: Places | None = None) -> Lock:
    """Read a lock; `where` names it in messages, `places` says what its paths mean.

    Raises:
        SourceError: it is no lock, or one that promises too little: a file without a SHA-256, a path to elsewhere.
    """
    try:
        data = Fields(load_toml(text, where), where, _RELOCK)
    except SpecError as error:
        raise SourceError(error.message, hint=_RELOCK) from None
    except RecursionError:
        raise SourceError(f"{where} is nested too deeply", hint=_RELOCK) from None
    version = data.text("lock-version")
    if version.split(".")[0] != "1":
        raise SourceError(f"{where} has lock-version = {version!r}, and only 1.x is understood", hint=_RELOCK)
    data.text("created-by")
    reader = _Reader(places or Places())
    return Lock(
        tuple(reader.package(item) for item in data.tables("packages", required=True)),
        data.text("requires-python", ""),
        data.texts("environments"),
        data.texts("default-groups"),
    )


class _Reader:
    def __init__(self, places: Places) -> None:
        self._places = places

    def package(self, data: Fields) -> LockedPackage:
        name = data.text("name")
        if not _NAME.match(name):
            raise data.error(f"has the name {name[:100]!r}, which is not a normalized one")
        data = data.at(f"package {name!r}")
        version = data.text("version", "") or None
        if version is not None and not re.fullmatch(r"[A-Za-z0-9._+!-]{1,200}", version):
            raise data.error(f"has the version {version[:100]!r}")
        given = [kind for kind in _SOURCES if kind in data.values]
        wheels = tuple(self._wheel(item, name) for item in data.tables("wheels"))
        sdist = self.file(data.table("sdist")) if "sdist" in data.values else None
        if len(given) + bool(wheels or sdist) != 1:
            raise data.error("has not exactly one source: wheels and an sdist, an archive, a directory or a repository")
        kind: SourceKind = given[0] if given else "index"
        source = data.table(kind) if given else data
        place, origin, revision, subdirectory = None, "", "", source.text("subdirectory", "") if given else ""
        if subdirectory:
            subdirectory = self._places.inside(subdirectory, source)
        if kind == "archive":
            file = self.file(source)
            if file.name.endswith(".whl"):
                wheels = (_checked(file, name, source),)
            else:
                sdist = file
        elif kind == "directory":
            place = self._places.place(source.text("path"), source)
        elif kind == "vcs":
            url = source.text("url", "") or source.text("path")
            origin = f"{source.text('type')}+{url}@{source.text('commit-id')}"
            revision = source.text("requested-revision", "")
        return LockedPackage(
            name,
            version,
            kind,
            wheels,
            sdist,
            place,
            subdirectory,
            origin,
            revision,
            data.text("marker", ""),
            data.text("requires-python", ""),
        )

    def _wheel(self, data: Fields, package: str) -> LockedFile:
        return _checked(self.file(data), package, data)

    def file(self, data: Fields) -> LockedFile:
        url, path = data.text("url", ""), data.text("path", "")
        place: str | None = None
        if url.startswith("file:"):
            url, path = "", url
        if not url and not path:
            raise data.error("lists a file that has neither url nor path")
        if path:
            place = self._places.place(path, data)
        name = data.text("name", "") or (place or unquote(_path_of(url, data))).rpartition("/")[2]
        if not name or not name.isprintable() or {"/", "\\"} & set(name) or name in (".", "..") or len(name) > 255:
            raise data.error(f"lists a file with the name {name[:100]!r}")
        size = data.values.get("size")
        if size is not None and (type(size) is not int or size < 0):
            raise data.error(f"says that {name} has {size!r} bytes")
        sha256 = data.table("hashes").text("sha256", "")
        if not _SHA256.match(sha256.lower()):
            raise data.error(f"has no SHA-256 for {name}, so that what is downloaded could not be verified")
        return LockedFile(name, sha256.lower(), size, None if place is not None else url, place)


def _checked(wheel: LockedFile, package: str, data: Fields) -> LockedFile:
    try:
        wheel_name(wheel.name, package)
    except ValueError as error:
        raise data.error(str(error)) from None
    return wheel


def _path_of(url: str, data: Fields) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise data.error("lists a file whose URL is broken") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise data.error(f"lists a file whose URL has the scheme {parts.scheme[:20]!r}, which is not http or https")
    if "@" in parts.netloc or has_credentials(url):
        raise data.error("lists a file whose URL has credentials in it")
    return parts.path


def select(
    lock: Lock, target: PythonTarget, where: str, *, extras: Iterable[str] = (), groups: Iterable[str] | None = None
) -> tuple[LockedPackage, ...]:
    """What an installer would install for a target, in the order of names; `groups` None takes the default ones.

    Raises:
        SourceError: the lock is not meant for the target, or has two candidates for one package.
    """
    environment: dict[str, Any] = {
        **target.environment,
        "extras": frozenset(extras),
        "dependency_groups": frozenset(lock.default_groups if groups is None else groups),
    }
    _check_python(lock.requires_python, target, where)
    if lock.environments and not any(_holds(marker, environment, where) for marker in lock.environments):
        raise SourceError(f"{where} is not meant for {target}: none of its environments matches", hint=_RELOCK)
    found: dict[str, LockedPackage] = {}
    for package in lock.packages:
        at = f"{where}, package {package.name!r}"
        if package.marker and not _holds(package.marker, environment, at):
            continue
        if package.name in found:
            raise SourceError(f"{at} stands there twice for {target}", hint=_RELOCK)
        _check_python(package.requires_python, target, at)
        found[package.name] = package
    return tuple(found[name] for name in sorted(found))


def _holds(marker: str, environment: dict[str, Any], where: str) -> bool:
    from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
    from packaging.version import InvalidVersion

    try:
        return Marker(marker).evaluate(environment, context="lock_file")
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, InvalidVersion):
        raise SourceError(f"{where} has a marker that means nothing: {marker[:200]!r}", hint=_RELOCK) from None


def _check_python(specifier: str, target: PythonTarget, where: str) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        if not specifier or SpecifierSet(specifier).contains(target.full_version, prereleases=True):
            return
    except InvalidSpecifier:
        raise SourceError(f"{where} has requires-python = {specifier[:100]!r}", hint=_RELOCK) from None
    raise SourceError(
        f"{where} has requires-python = {specifier!r}, and the image has Python {target.full_version}",
        hint="choose another python_version, or lock again for this one",
    )


def render(packages: Iterable[LockedPackage]) -> str:
    """A lock that `parse` reads back, the same text for the same packages."""
    return dump({"lock-version": "1.0", "created-by": "imagebuilder", "packages": [to_table(one) for one in packages]})


def to_table(package: LockedPackage) -> dict[str, Any]:
    """A package as an entry of `packages`."""
    texts = {"version": package.version, "marker": package.marker, "requires-python": package.requires_python}
    table: dict[str, Any] = {"name": package.name, **{key: value for key, value in texts.items() if value}}
    subdirectory = {"subdirectory": package.subdirectory} if package.subdirectory else {}
    match package.source:
        case "index":
            if package.wheels:
                table["wheels"] = [_file_table(wheel) for wheel in package.wheels]
            if package.sdist:
                table["sdist"] = _file_table(package.sdist)
        case "archive":
            table["archive"] = {**_file_table(next(filter(None, (*package.wheels, package.sdist)))), **subdirectory}
        case "directory":
            table["directory"] = {"path": str(PurePosixPath(package.place or ".")), **subdirectory}
        case "vcs":
            kind, _, rest = package.origin.partition("+")
            url, _, commit = rest.rpartition("@")
            asked = {"requested-revision": package.revision} if package.revision else {}
            table["vcs"] = {"type": kind, "url": url, **asked, "commit-id": commit, **subdirectory}
    return table


def _file_table(file: LockedFile) -> dict[str, Any]:
    place = {"url": file.url} if file.place is None else {"path": file.place}
    size = {} if file.size is None else {"size": file.size}
    return {"name": file.name, **place, **size, "hashes": {"sha256": file.sha256}}
