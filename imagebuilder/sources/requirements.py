"""Requirements files, as pip's "Requirements File Format" defines them.

Staged: `requirements.txt` and its includes (`include-N.txt`) without comments, local projects and distributions as
`local-N`, folders of `--find-links` as `links-N`, each numbered in the order in which the files name them.
"""

# Paths are strings here, as in a spec and in a snapshot.
# ruff: noqa: PTH100, PTH110, PTH112, PTH118, PTH120

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from imagebuilder.errors import SecretError, SourceError
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.published import holds_credentials
from imagebuilder.sources.tree import Locals, is_project
from imagebuilder.sources.user_file import read_text
from imagebuilder.spec.credential import mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.sources.sources import Sources
    from imagebuilder.spec.layers import Requirements

ENTRY = "requirements.txt"

# pip/_internal/req/req_file.py: COMMENT_RE.
_COMMENT = re.compile(r"(^|\s+)#.*$")
_SPACES = re.compile(r"""("[^"]*"|'[^']*')|\s+""")
_LONG = {"-r": "--requirement", "-c": "--constraint", "-f": "--find-links", "-i": "--index-url"}
_INCLUDES = {"--requirement": "-r", "--constraint": "-c"}
_VALUED = frozenset(
    (*_LONG.values(), "--extra-index-url", "--trusted-host", "--no-binary", "--only-binary", "--use-feature")
)
_FLAGS = frozenset(("--no-index", "--pre", "--prefer-binary", "--require-hashes"))
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s+|\s*=\s*|(?=[./]))(?P<rest>.+)\Z")
_OPTIONS = re.compile(r"\s+--?[A-Za-z].*\Z")
_DIRECT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?P<extras>\[[^\]]*\])?\s*@\s*(?P<target>\S+?)(?P<marker>\s*;.*)?\Z"
)
_UNNAMED = re.compile(r"(?P<target>[^;]+?)\s*(?P<extras>\[[^\[\]]*\])?\s*(?P<marker>;.*)?\Z")
_REMOTE = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://")
_LOCAL_REPOSITORY = re.compile(r"(?:git|hg|svn|bzr)\+file:", re.IGNORECASE)
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_PATH_HINT = "paths are relative to the file that names them; correct the line, or remove it"


def read_requirements(layer: Requirements, sources: Sources) -> Material:
    """Read a requirements file and all it includes; `entry` is `requirements.txt`.

    Raises:
        SourceError: a file that is named cannot be read, or a line cannot be understood.
        SecretError: a URL has credentials in it.
    """
    reading = _Reading(Locals(sources))
    path = os.path.abspath(layer.file)
    reading.read(
        path, ENTRY, f'write one requirement a line into it, or correct the path in with_requirements("{layer.file}")'
    )
    return Material((*reading.texts.items(), *reading.locals.pieces), ENTRY)


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, comments removed and continuations joined, with the number of their first line."""
    pending: list[str] = []
    first = 0
    for number, line in enumerate((*text.splitlines(), ""), 1):
        if not pending:
            first = number
        if line.endswith("\\") and not _COMMENT.match(line):
            pending.append(line[:-1])
            continue
        # A space keeps a comment after a continuation a comment.
        pending.append(f" {line}" if _COMMENT.match(line) else line)
        joined = _COMMENT.sub("", "".join(pending)).strip()
        pending = []
        if joined:
            yield first, joined
    if joined := _COMMENT.sub("", "".join(pending)).strip():
        yield first, joined


@dataclass(frozen=True)
class _Line:
    """One logical line and where it stands."""

    file: str
    number: int
    text: str

    @property
    def at(self) -> str:
        return f"{self.file}, line {self.number}"

    def error(self, why: str, hint: str) -> SourceError:
        return SourceError(f"{self.at}: {mask(self.text)!r} {why}", hint=hint)


class _Reading:
    """One requirements file and everything it leads to."""

    def __init__(self, local: Locals) -> None:
        self.locals = local
        self.texts: dict[str, Text] = {}
        self._names: dict[str, str] = {}
        self._open: list[str] = []

    def read(self, path: str, name: str, hint: str) -> None:
        self._names[path] = name
        self._open.append(path)
        lines = [
            rewritten
            for number, text in logical_lines(read_text(path, hint))
            for rewritten in self._rewrite(_Line(path, number, text))
        ]
        self._open.pop()
        self.texts[name] = Text("".join(f"{_collapse(line)}\n" for line in lines).encode())

    def _rewrite(self, line: _Line) -> Iterator[str]:
        if holds_credentials(line.text):
            raise SecretError(
                f"{line.at}: {mask(line.text)!r} has credentials in it, which would be published with the image",
                hint="give the URL as index_url=... or extra_index_urls=..., whose credentials are never published, "
                'or write ${TOKEN} in the URL and give secret_mounts=[Secret("TOKEN")]',
            )
        if _LOCAL_REPOSITORY.search(line.text):
            raise line.error(
                "names a repository on this machine", "name its folder, such as ./lib, or a repository elsewhere"
            )
        if editable := _EDITABLE.match(line.text):
            yield self._requirement(line, editable["rest"], editable=True)
        elif line.text.startswith("-"):
            yield from self._options(line)
        else:
            yield self._requirement(line, line.text, editable=False)

    # -- options -----------------------------------------------------------------------------------------------------

    def _options(self, line: _Line) -> Iterator[str]:
        try:
            words = shlex.split(line.text)
        except ValueError as error:
            raise line.error(f"does not split into words: {error}", "close the quotation") from None
        while words:
            word = words.pop(0)
            name, equals, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
            name = _LONG.get(name, name)
            if name in _FLAGS and not equals:
                yield name
            elif name in _VALUED and (equals or words):
                yield self._option(line, name, value.removeprefix("=") if equals else words.pop(0))
            else:
                raise line.error(
                    f"has {word!r}, which is no option of a requirements file",
                    "write options in full, such as --requirement base.txt, and others as extra_args=...",
                )

    def _option(self, line: _Line, name: str, value: str) -> str:
        if name in _INCLUDES:
            return f"{_INCLUDES[name]} {self._include(line, value)}"
        if name == "--find-links" and not _REMOTE.match(value):
            path = self._resolve(line, value)
            if not os.path.exists(path):
                raise line.error(f"names {path}, which does not exist", _PATH_HINT)
            return f"{name} ./{self.locals.place('links', path, _PATH_HINT)}"
        return f"{name} {value}"

    def _include(self, line: _Line, target: str) -> str:
        if _REMOTE.match(target):
            raise line.error(
                "includes a file of another machine, whose content cannot be identified",
                "download it, and include the copy",
            )
        path = self._resolve(line, target)
        if path in self._open:
            chain = " -> ".join((*self._open[self._open.index(path) :], path))
            raise line.error(f"includes itself: {chain}", "remove one of the lines")
        if path not in self._names:
            if not os.path.exists(path):
                raise line.error(f"includes {path}, which does not exist", _PATH_HINT)
            self.read(path, f"include-{len(self._names)}.txt", _PATH_HINT)
        return self._names[path]

    # -- requirements ------------------------------------------------------------------------------------------------

    def _requirement(self, line: _Line, text: str, *, editable: bool) -> str:
        if editable and text[0] in "\"'":
            text = text[1:].replace(text[0], "", 1)
        found = _OPTIONS.search(text)
        body, options = (text[: found.start()], found[0]) if found else (text, "")
        parts = _DIRECT.match(body) or _UNNAMED.match(body)
        if parts is None:
            raise line.error("is not a requirement", "write it as PEP 508 says, such as numpy>=2")
        target = parts["target"]
        if _REMOTE.match(target) or not (editable or parts.re is _DIRECT or _is_path(target)):
            return text
        extras = parts["extras"] or ""
        target, _, fragment = target.partition("#")
        subfolder = ""
        for key, _, value in (item.partition("=") for item in fragment.split("&") if item):
            if key == "egg":
                extras = extras or "".join(re.findall(r"\[[^\]]*\]", unquote(value)))
            elif key == "subdirectory":
                subfolder = f"/{value.strip('/')}"
            else:
                raise line.error(f"has #{key}, which means nothing to a local path", "write it as --hash=sha256:...")
        path = self._resolve(line, target)
        if not os.path.exists(path):
            raise line.error(f"names {path}, which does not exist", _PATH_HINT)
        if os.path.isdir(path) and not is_project(path + subfolder):
            raise line.error(
                f"names {path}{subfolder}, which is not a Python project: it has no pyproject.toml or setup.py",
                _PATH_HINT,
            )
        place = self.locals.project(path, _PATH_HINT)
        marker = f" ; {parts['marker'].strip().lstrip(';').strip()}" if parts["marker"] else ""
        return f"./{place}{subfolder}{extras}{marker}{options}"

    def _resolve(self, line: _Line, target: str) -> str:
        """An absolute path; a relative one starts at the file that names it."""
        if _VARIABLE.search(target):
            raise line.error("names a place by a variable", "write the path itself, relative to this file")
        if target.startswith("file:"):
            try:
                parts = urlsplit(target)
            except ValueError as error:
                raise line.error(f"is not a URL: {error}", "write file:///path or a relative path") from None
            if parts.netloc not in ("", "localhost"):
                raise line.error(
                    f"names a file of the machine {parts.netloc!r}", "write file:///path or a relative path"
                )
            target = unquote(parts.path)
        return os.path.abspath(os.path.join(os.path.dirname(line.file), target))


def _is_path(target: str) -> bool:
    return target.startswith((".", "file:")) or "/" in target or target.lower().endswith(_ARCHIVES)


def _collapse(line: str) -> str:
    """One space between words, outside quotations."""
    return _SPACES.sub(lambda found: found[1] or " ", line)
