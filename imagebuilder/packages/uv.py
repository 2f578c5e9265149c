"""Runs uv to resolve: in an environment of its own, its errors put into words, no credential in argv or messages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from imagebuilder.errors import BuildError, MissingDependencyError
from imagebuilder.packages.no_build import refusing_interpreter
from imagebuilder.plan.secrets import index_name
from imagebuilder.spec.credential import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from imagebuilder.spec.credential import Index

# Of uv's own variables these say how it works, not what it finds.
_KEPT: Final = (
    "UV_CACHE_DIR",
    "UV_CONCURRENT_DOWNLOADS",
    "UV_HTTP_TIMEOUT",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
)
_DROPPED: Final = re.compile(r"(?:UV|PIP|PYTHON|CONDA)_|PYTHON[A-Z]|VIRTUAL_ENV\Z")
_SHOWN_LINES: Final = 20
_NONE: Final = ".none"
_LOOK: Final = 0.2  # seconds
_SHORTEST: Final = 4  # a shorter value would blank out half of a message


class IndexSettings(Protocol):
    """The site's package indexes and certificates; `builders.site.Site` is one."""

    @property
    def ca_bundle(self) -> str | None:
        """A PEM file."""

    @property
    def index_url(self) -> Index | None:
        """The default index."""

    @property
    def extra_index_urls(self) -> tuple[Index, ...]:
        """Indexes besides it."""


def indexes_of(site: IndexSettings) -> tuple[Index, ...]:
    """The site's indexes, the default one first."""
    return (*((site.index_url,) if site.index_url else ()), *site.extra_index_urls)


@dataclass(frozen=True)
class UvFailure:
    """What uv said when it failed, without credentials."""

    text: str
    hint: str | None

    def error(self, where: str) -> BuildError:
        """The error for a layer."""
        lines = self.text.splitlines()
        shown = [*lines[:_SHOWN_LINES], *(["..."] if len(lines) > _SHOWN_LINES else [])]
        words = "\n".join(f"    {line}" for line in shown)
        return BuildError(f"{where}: its packages could not be resolved:\n{words}", hint=self.hint)


@dataclass(frozen=True)
class Uv:
    """The uv of this machine; `environ` is this process's environment, of which it sees a part.

    `check` is called while uv works, to raise where nobody wants its answer any more; uv is killed then. What must be
    built to be resolved is not: see `no_build`; `tools` is where its interpreter stays, so that uv remembers it.
    """

    environ: Mapping[str, str] = field(repr=False)
    site: IndexSettings = field(repr=False)
    command: tuple[str, ...] = ()
    seconds: float = 600.0
    check: Callable[[], None] = field(default=lambda: None, repr=False)
    tools: Path | None = None

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        *,
        stage: Path | None = None,
        config: bool = False,
        indexes: Iterable[Index] = (),
        variables: Mapping[str, str] | None = None,
    ) -> UvFailure | None:
        """Run uv in a folder, which is in `stage`, the place that messages leave out; None where it did its work.

        `config` lets it read the project's settings, `indexes` have the credentials that `variables` do not have.

        Raises:
            MissingDependencyError: it is not installed.
        """
        own = self._environment(folder, indexes, variables or {}, config=config)
        if arguments[0] == "pip":
            # As an argument: uv does not look at UV_PYTHON where it is told a version. What a build would need is not
            # looked for either.
            python = str(refusing_interpreter(self.tools or folder / _NONE))
            arguments = (*arguments, "--python", python, "--no-build-isolation")
        try:
            code, errors = self._finished([*(self.command or (own_uv(),)), *arguments], folder, own)
        except TimeoutError:
            return UvFailure(f"uv did not end within {self.seconds:g} s", "check the network, and try again")
        except OSError as error:
            raise MissingDependencyError(
                f"uv cannot be started: {error.strerror}", hint='run pip install "imagebuilder[engine]"'
            ) from None
        if code == 0:
            return None
        said = errors.replace(f"{stage or folder}/", "").strip() or f"uv ended with exit code {code}"
        text = _masked(said, self._secrets(indexes, variables or {}))
        return UvFailure(text, _hint(text))

    def _finished(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> tuple[int, str]:
        """The exit code and what it said."""
        deadline = time.monotonic() + self.seconds
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            try:
                while True:
                    try:
                        _, errors = process.communicate(timeout=_LOOK)
                    except subprocess.TimeoutExpired:
                        self.check()
                        if time.monotonic() > deadline:
                            raise TimeoutError from None
                    else:
                        return process.returncode, errors
            except BaseException:
                process.kill()
                raise

    def _environment(
        self, folder: Path, indexes: Iterable[Index], variables: Mapping[str, str], *, config: bool
    ) -> dict[str, str]:
        own = {name: value for name, value in self.environ.items() if name in _KEPT or not _DROPPED.match(name)}
        # uv wants an interpreter even where it runs none: the last that it finds is ours.
        path = os.pathsep.join(filter(None, (own.get("PATH"), os.path.dirname(sys.executable))))  # noqa: PTH120
        own |= {"PATH": path, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
        # A step in an image sees no settings of this machine's user.
        own |= {"XDG_CONFIG_HOME": str(folder / _NONE), "XDG_CONFIG_DIRS": str(folder / _NONE)}
        if not config:
            own["UV_NO_CONFIG"] = "1"
        if self.site.ca_bundle:
            own["SSL_CERT_FILE"] = self.site.ca_bundle
        if self.site.index_url:
            own["UV_DEFAULT_INDEX"] = _with_credentials(self.site.index_url)
        if self.site.extra_index_urls:
            own["UV_INDEX"] = " ".join(map(_with_credentials, self.site.extra_index_urls))
        for index in indexes:
            if index.credential:
                name = f"UV_INDEX_{index_name(index).upper()}"
                own[f"{name}_USERNAME"] = index.credential.username
                own[f"{name}_PASSWORD"] = index.credential.password
        return {**own, **variables}

    def _secrets(self, indexes: Iterable[Index], variables: Mapping[str, str]) -> list[str]:
        known = [index.credential for index in (*indexes_of(self.site), *indexes) if index.credential]
        parts = [part for one in known for part in (one.password, one.username if not one.password else "")]
        return [*parts, *variables.values()]


def _masked(text: str, secrets: Iterable[str]) -> str:
    lines = {line.strip() for value in secrets for line in (value, *value.splitlines())}
    values = {form for line in lines if len(line) >= _SHORTEST for form in (line, quote(line, safe=""), quote(line))}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "***")
    return mask(text)


def _with_credentials(index: Index) -> str:
    if index.credential is None:
        return index.url
    userinfo = f"{quote(index.credential.username, safe='')}:{quote(index.credential.password, safe='')}"
    return index.url.replace("://", f"://{userinfo}@", 1)


def own_uv() -> str:
    """The uv that is installed beside this package.

    Raises:
        MissingDependencyError: there is none.
    """
    try:
        from uv import find_uv_bin
    except ImportError as error:
        raise MissingDependencyError(
            "resolving Python packages needs uv, which is not installed", hint='run pip install "imagebuilder[engine]"'
        ) from error
    with _FINDING:  # sysconfig, which it asks, is not ready for several threads at once
        return str(find_uv_bin())


_FINDING: Final = threading.Lock()
# Searched in this order: what stands first is the cause of what stands later.
_HINTS: Final[dict[str, tuple[str, ...]]] = {
    "the network has a certificate authority of its own: set ca_bundle under [tool.imagebuilder.site], "
    "or SSL_CERT_FILE": (
        r"UnknownIssuer",
        r"invalid peer certificate",
        r"certificate verif",
        r"self.signed certificate",
    ),
    "the index refused the credentials: give them in its URL, or with secret_mounts": (
        r"40[13] (?:Unauthorized|Forbidden)",
        r"lack of valid authentication",
        r"HTTP status client error \(40[13]",
    ),
    "this machine could not reach the index: check the network, the proxies and the index URL": (
        r"dns error",
        r"failed to lookup address",
        r"[Cc]onnection (?:refused|reset|timed out)",
        r"error sending request",
        r"Network is unreachable",
        r"operation timed out",
        r"client error \(Connect\)",
    ),
    "there is no version for this Python and platform: choose another python_version, or loosen the requirement": (
        r"no wheels? with a matching",
        r"has no (?:usable )?wheels",
        r"requested Python version .* does not satisfy",
        r"not supported by your dependencies",
    ),
    "check the package's name, or give the index that has it with index_url or extra_index_urls": (
        r"was not found in the package registry",
        r"not found in the provided package locations",
        r"there (?:is|are) no versions? of",
    ),
    "the wheel is damaged, or made to do harm; get it from where it was published, or use another version": (
        r"Failed to (?:extract archive|read metadata)",
        r"during archive extraction|an error while reading the zip",
        r"[Ii]nvalid zip file|ZIP structure|The wheel is invalid",
    ),
    "the package must be built to learn what it needs: let BuildKit build this layer, or choose a version that has "
    "wheels": (
        r"Failed to build",
        r"[Bb]uild backend (?:failed|returned an error)",
    ),
    "the requirements contradict each other: loosen one of the versions named above": (
        r"No solution found",
        r"unsatisfiable",
    ),
    "the lock file does not fit its project: write it anew with `uv lock`": (r"uv\.lock", r"lockfile"),
}


def _hint(text: str) -> str | None:
    found = (advice for advice, words in _HINTS.items() if any(re.search(word, text) for word in words))
    return next(found, None)
