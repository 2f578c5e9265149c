"""What `uv pip install` and `uv sync` are told in a build step, told to `uv pip compile` and `uv export`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from imagebuilder.sources.material import Text
from imagebuilder.sources.requirements import logical_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imagebuilder.sources.material import Material

# Options that choose what is installed and mean the same to both; True where a value follows.
_COMPILE: Final[Mapping[str, bool]] = {
    "--no-deps": False,
    "--no-index": False,
    "--no-sources": False,
    "--pre": False,
    "--upgrade": False,
    "-U": False,
    "--default-index": True,
    "--exclude-newer": True,
    "--exclude-newer-package": True,
    "--extra-index-url": True,
    "--find-links": True,
    "-f": True,
    "--fork-strategy": True,
    "--index": True,
    "--index-strategy": True,
    "--index-url": True,
    "-i": True,
    "--no-sources-package": True,
    "--prerelease": True,
    "--prerelease-package": True,
    "--resolution": True,
    "--torch-backend": True,
    "--upgrade-package": True,
    "-P": True,
}
_EXPORT: Final[Mapping[str, bool]] = {
    "--all-extras": False,
    "--all-groups": False,
    "--all-packages": False,
    "--dev": False,
    "--no-dev": False,
    "--no-install-local": False,
    "--no-install-project": False,
    "--no-install-workspace": False,
    "--only-dev": False,
    "--extra": True,
    "--group": True,
    "--no-extra": True,
    "--no-group": True,
    "--no-install-package": True,
    "--only-group": True,
    "--package": True,
}
# Options of how it is done, not what.
_MANNER: Final[Mapping[str, bool]] = {
    "--compile-bytecode": False,
    "--no-cache": False,
    "--no-progress": False,
    "--quiet": False,
    "--refresh": False,
    "--strict": False,
    "--verbose": False,
    "-n": False,
    "-q": False,
    "-v": False,
    "--color": True,
    "--link-mode": True,
    "--refresh-package": True,
}
# A lock has the answers to these already.
CUTOFF: Final = "--exclude-newer"
_RESOLVER: Final = ("--default-index", "--index", "--prerelease", "--resolution", "--fork-strategy", CUTOFF)
_URLS: Final = ("--default-index", "--extra-index-url", "--find-links", "-f", "--index", "--index-url", "-i")
_BUILD: Final = (*_URLS, "--no-index", "--index-strategy", CUTOFF, "--no-sources")
_REMOTE = re.compile(r"(?:[A-Za-z0-9._-]+=)?https?://")
REQUIRE_HASHES: Final = "--require-hashes"


class UntranslatableError(ValueError):
    """An argument whose meaning only uv in the image can tell; the message is a sentence."""


def compile_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Arguments of `uv pip install` for `uv pip compile`; `--require-hashes` is left to the caller.

    Raises:
        UntranslatableError: there is one that has no counterpart.
    """
    found: list[str] = []
    for name, value in _options(arguments, {**_COMPILE, **_MANNER, REQUIRE_HASHES: False}):
        if name in _URLS and not _REMOTE.match(value or ""):
            raise UntranslatableError(f"{name} {value} names a place in the image")
        if (name, value) == ("--torch-backend", "auto"):
            raise UntranslatableError("--torch-backend auto asks the machine that installs")
        if name in _COMPILE:
            found += [name, value] if value is not None else [name]
    return tuple(found)


def export_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Arguments of `uv sync --frozen` for `uv export --frozen`.

    Raises:
        UntranslatableError: there is one that has no counterpart.
    """
    found: list[str] = []
    for name, value in _options(arguments, {**_EXPORT, **_MANNER, **dict.fromkeys(_RESOLVER, True)}):
        if name in _EXPORT:
            name = name.replace("--no-install-", "--no-emit-")  # noqa: PLW2901 - what export calls it
            found += [name, value] if value is not None else [name]
    return tuple(found)


def build_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Those arguments of `uv pip install` or `uv sync` that say where `uv build` finds what a backend needs.

    They are ones that the others of this page understood.
    """
    known = {**_COMPILE, **_EXPORT, **_MANNER, **dict.fromkeys(_RESOLVER, True), REQUIRE_HASHES: False}
    found: list[str] = []
    for name, value in _options(arguments, known):
        if name in _BUILD:
            found += [name, value] if value is not None else [name]
    return tuple(found)


def index_lines(material: Material | None) -> tuple[str, ...]:
    """Lines of requirements files that say where packages are."""
    return tuple(
        line
        for at, piece in (material.pieces if material else ())
        if isinstance(piece, Text) and at.endswith(".txt")
        for _, line in logical_lines(piece.data.decode())
        if line.partition(" ")[0] in (*_URLS, "--no-index")
    )


def index_arguments(material: Material | None) -> tuple[str, ...]:
    """The same as arguments, but for places in the layer's files and what has variables in it: uv alone reads those."""
    found: list[str] = []
    for line in index_lines(material):
        name, _, value = line.partition(" ")
        if not value or (_REMOTE.match(value) and "${" not in value):
            found += [name, value] if value else [name]
    return tuple(found)


def _options(arguments: Sequence[str], known: Mapping[str, bool]) -> Iterator[tuple[str, str | None]]:
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name not in known or (equals and not known[name]) or (known[name] and not equals and not words):
            what = name if name.startswith("-") else "a requirement"
            raise UntranslatableError(f"extra_args has {what}, which only uv in the image understands")
        if known[name]:
            yield name, value if equals else words.pop(0)
        else:
            yield name, None
