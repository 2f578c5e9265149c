"""Says which layer of the spec failed, with the command, its last words, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from imagebuilder.builders.rawjson import ProgressReader
from imagebuilder.errors import BuilderUnavailableError, BuildError, ImageBuilderError

_SHOWN_LINES = 15


@dataclass(frozen=True)
class _Class:
    pattern: re.Pattern[str]
    hint: str


def _class(pattern: str, hint: str) -> _Class:
    return _Class(re.compile(pattern, re.IGNORECASE), hint)


# Searched in this order in the last lines of a step; `\1` of a pattern is put into its hint.
_STEP_CLASSES = (
    _class(r"no space left on device|disk quota exceeded", "the builder's disk is full: run docker builder prune"),
    _class(
        r"cannot allocate memory|out of memory|exit code: 137|MemoryError|Killed$",
        "the step ran out of memory: give the builder more, or build fewer things at once",
    ),
    _class(
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|UnknownIssuer|self.signed certificate",
        "the network has a certificate authority of its own: set ca_bundle under [tool.imagebuilder.site], or SSL_CERT_FILE",
    ),
    _class(
        r"Temporary failure (?:in name resolution|resolving)|Could not resolve|dns error|Name or service not known"
        r"|Network is unreachable|Connection (?:refused|timed out|reset)|Failed to fetch|error sending request"
        r"|operation timed out",
        'the step could not reach the network: check proxies, and network = "host" under [tool.imagebuilder.site]',
    ),
    _class(
        r"Unable to locate package (\S+)|Package '(\S+)' has no installation candidate",
        "Debian's archive has no such package for this release: search packages.debian.org for its name",
    ),
    _class(
        r"was not found in the package registry|not found in the provided package locations|No matching distribution",
        "check the package's name, or give the index that has it with index_url or extra_index_urls",
    ),
    _class(
        r"no wheels with a matching|has no wheels|no matching wheel|not a supported wheel|incompatible with the current platform",
        "there is no wheel for this Python and platform: choose another python_version or version of the package",
    ),
    _class(
        r"(?:gcc|cc|g\+\+|clang|cargo|rustc|cmake|pkg-config|pg_config)(?:' failed)?[:\s].*(?:not found|No such file|command not found)"
        r"|error: command '(?:gcc|cc|x86_64-linux-gnu-gcc)'|Failed building wheel|Failed to build",
        'the package is built from source: add the compiler it needs, with_apt_packages("build-essential"), before it',
    ),
    _class(
        r"No solution found when resolving|conflict",
        "the requirements contradict each other: loosen one of the versions named above",
    ),
    _class(r"401 Unauthorized|403 Forbidden|authentication required", "give the index's credentials in its URL or with secret_mounts"),
    _class(r"(\S+): (?:command )?not found", "the image has no such command: add the package that brings it with with_apt_packages"),
    _class(r"Permission denied", "the step runs as a user who may not do this: put it before with_user, or chown the files"),
)

_ENGINE_CLASSES: tuple[tuple[_Class, type[ImageBuilderError]], ...] = (
    (
        _class(
            r"Cannot connect to the Docker daemon|error during connect|dial unix .*(?:no such file|refused|denied)|docker daemon is not running",
            "start Docker, or point DOCKER_HOST or --builder at a BuildKit; `imagebuild doctor` says what is reachable",
        ),
        BuilderUnavailableError,
    ),
    (
        _class(
            r"OCI exporter is not supported for the docker driver",
            "turn on Docker's containerd image store, or make a builder: docker buildx create --name imagebuilder, then --builder imagebuilder",
        ),
        BuilderUnavailableError,
    ),
    (
        _class(
            r"unknown flag: --(?:file|progress)|'buildx' is not a docker command|unknown command",
            "install Docker's buildx plugin 0.13 or later (Debian: docker-buildx, Docker's own: docker-buildx-plugin)",
        ),
        BuilderUnavailableError,
    ),
    (_class(r"no builder \"?(\S+?)\"? found", "docker buildx ls lists the builders"), BuilderUnavailableError),
    (
        _class(
            r"failed to resolve source metadata|failed to do request|pull access denied|: not found",
            "check the base image's name, and that this machine may pull it: imagebuild check IMAGE",
        ),
        BuildError,
    ),
    (
        _class(
            r"exec format error|no match for platform",
            "the base has no such platform, or its emulation is missing: docker run --privileged tonistiigi/binfmt --install all",
        ),
        BuildError,
    ),
)


def build_failure(name: str, reader: ProgressReader, titles: Sequence[str], code: int) -> ImageBuilderError:
    """Turn what a failed buildx left into an error for people."""
    vertex = reader.failed
    words = _own_words(reader.tail)
    if vertex is None or vertex.layer is None:
        text = f"{vertex.error if vertex else ''}\n{words}"
        what = _clean(vertex.error) if vertex else words or f"docker buildx ended with exit code {code} and said nothing"
        for known, error in _ENGINE_CLASSES:
            if known.pattern.search(text):
                return error(f"{name}: {what}", hint=known.hint)
        return BuildError(f"{name}: {what}")
    where = f"layer {vertex.layer}, {titles[vertex.layer]}" if vertex.layer else titles[0]
    lines = reader.last_lines(vertex, _SHOWN_LINES)
    message = f"{name}: {where}: {_reason(vertex.error)}: {_one_line(vertex.title)}"
    if lines:
        message += "\n" + "\n".join(f"    {line}" for line in lines)
    text = "\n".join([*lines, vertex.error])
    hint = next((known.hint for known in _STEP_CLASSES if known.pattern.search(text)), None)
    if hint is None:
        hint = next((known.hint for known, _ in _ENGINE_CLASSES if known.pattern.search(text)), None)
    return BuildError(message, hint=hint)


def _reason(error: str) -> str:
    found = re.search(r"exit code: (\d+)", error)
    if not found:
        return _clean(error)
    meaning = {"137": " (killed: out of memory?)", "127": " (command not found)", "126": " (not executable)"}
    return f"the command failed with exit code {found[1]}{meaning.get(found[1], '')}"


def _own_words(tail: str) -> str:
    lines = [line for line in tail.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return _clean("\n".join(errors or lines[-5:]))


def _clean(text: str) -> str:
    return re.sub(r"^(?:ERROR: )?(?:failed to solve: )?(?:rpc error: code = \w+ desc = )?", "", text.strip())


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 160 else f"{words[:159]}…"
