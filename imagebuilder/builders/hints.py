"""What to do about a failed build, for the classes of failure that its last words tell apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imagebuilder.errors import BuildError, BuilderUnavailableError, ImageBuilderError


@dataclass(frozen=True)
class Hint:
    """Words that tell a class of failure, what to do about it, and the error it is."""

    pattern: re.Pattern[str]
    advice: str
    error: type[ImageBuilderError] = BuildError


def find(hints: tuple[Hint, ...], text: str) -> Hint | None:
    """The first whose words stand in the text."""
    return next((hint for hint in hints if hint.pattern.search(text)), None)


def _hint(advice: str, *words: str, error: type[ImageBuilderError] = BuildError) -> Hint:
    return Hint(re.compile("|".join(words), re.IGNORECASE | re.MULTILINE), advice, error)


_FULL = _hint(
    "the builder's disk is full: run docker builder prune",
    r"no space left on device",
    r"disk quota exceeded",
    r"You don't have enough free space in",
)

# Searched in this order in the last lines of a step.
STEP = (
    _FULL,
    _hint(
        "the step ran out of memory: give the builder more, or build fewer things at once",
        r"cannot allocate memory",
        r"out of memory",
        r"exit code: 137",
        r"MemoryError",
        r"Killed$",
        r"fatal error: Killed signal",
    ),
    _hint(
        "the network has a certificate authority of its own: set ca_bundle under [tool.imagebuilder.site], "
        "or SSL_CERT_FILE",
        r"CERTIFICATE_VERIFY_FAILED",
        r"certificate verif(?:y|ication) failed",
        r"UnknownIssuer",
        r"invalid peer certificate",
        r"self.signed certificate",
        r"SSL certificate problem",
        r"certificate is NOT trusted",
        r"unable to get local issuer certificate",
    ),
    _hint(
        "the index refused the credentials: give them in its URL, or with secret_mounts",
        r"40[13] (?:Unauthorized|Forbidden|Client Error)",
        r"HTTP status client error \(40[13]",
        r"authentication required",
        r"could not be queried due to a lack of valid authentication credentials",
    ),
    _hint(
        'the step could not reach the network: check proxies, and network = "host" under [tool.imagebuilder.site]',
        r"Temporary failure (?:in name resolution|resolving)",
        r"Could not resolve",
        r"dns error",
        r"Name or service not known",
        r"getaddrinfo failed",
        r"Network is unreachable",
        r"No route to host",
        r"Connection (?:refused|timed out|reset)",
        r"error sending request",
        r"Failed to establish a new connection",
        r"operation timed out",
    ),
    _hint(
        "Debian's archive has no such package, or not that version, for this release: "
        "search packages.debian.org for its name",
        r"Unable to locate package",
        r"has no installation candidate",
        r"Version '.*' for '.*' was not found",
        r"Couldn't find any package by",
    ),
    _hint(
        "there is no wheel for this Python and platform: choose another python_version or version of the package",
        r"no wheels? with a matching",
        r"has no wheels",
        r"no matching wheel",
        r"not a supported wheel",
        r"incompatible with the current (?:platform|Python)",
        r"doesn't have a source distribution or wheel for the current platform",
        r"has no usable wheels",
    ),
    _hint(
        "check the package's name, or give the index that has it with index_url or extra_index_urls",
        r"was not found in the package registry",
        r"not found in the provided package locations",
        r"No matching distribution",
        r"there (?:is|are) no versions? of",
        r"there are no versions of",
    ),
    _hint(
        'the package is built from source: add the compiler it needs, with_apt_packages("build-essential"), before it',
        r"(?:gcc|cc|g\+\+|c\+\+|clang|cargo|rustc|cmake|make|pkg-config|pg_config)'?(?: failed)?:.*"
        r"(?:not found|No such file)",
        r"error: command '.*(?:gcc|cc|g\+\+|clang)' failed",
        r"unable to execute '.*(?:gcc|cc|g\+\+|clang)'",
        r"can't find Rust compiler",
        r"pg_config executable not found",
        r"Failed building wheel",
        r"Failed to build",
        r"CMake Error",
    ),
    _hint(
        "the requirements contradict each other: loosen one of the versions named above",
        r"No solution found when resolving",
        r"your requirements are unsatisfiable",
        r"ResolutionImpossible",
    ),
    _hint(
        "the lock file does not fit its project: write it anew, and build again",
        r"lockfile .*needs to be updated",
        r"pyproject\.toml changed significantly since poetry\.lock",
        r"Unable to find lockfile",
    ),
    _hint(
        "the image has no such command: add the package that brings it with with_apt_packages",
        r"\S+: (?:command )?not found$",
        r"exit code: 127",
    ),
    _hint(
        "the step runs as a user who may not do this: put it before with_user, or chown the files",
        r"Permission denied",
        r"Operation not permitted",
    ),
)

ENGINE = (
    _hint(
        "start Docker, or point DOCKER_HOST or --builder at a BuildKit; `imagebuild doctor` says what is reachable",
        r"Cannot connect to the Docker daemon",
        r"error during connect",
        r"dial unix .*(?:no such file|refused|denied)",
        r"docker daemon is not running",
        r"failed to (?:dial|list workers|find any live)",
        error=BuilderUnavailableError,
    ),
    _hint(
        "turn on Docker's containerd image store, or make a builder: docker buildx create --name imagebuilder, "
        "then --builder imagebuilder",
        r"OCI exporter is not supported for the docker driver",
        r"oci exporter .*not supported",
        error=BuilderUnavailableError,
    ),
    _hint(
        "install Docker's buildx plugin 0.13 or later (Debian: docker-buildx, Docker's own: docker-buildx-plugin)",
        r"unknown flag: --",
        r"unknown shorthand flag",
        r"'buildx' is not a docker command",
        r"unknown command",
        r"invalid progress mode",
        r"unknown progress mode",
        error=BuilderUnavailableError,
    ),
    _hint(
        'the builder does not allow network = "host": make it with docker buildx create --buildkitd-flags '
        "'--allow-insecure-entitlement network.host'",
        r"network\.host is not allowed",
    ),
    _hint(
        "docker buildx ls lists the builders",
        r"no builder .* found",
        error=BuilderUnavailableError,
    ),
    _FULL,
    _hint(
        "the base has no such platform, or its emulation is missing: "
        "docker run --privileged tonistiigi/binfmt --install all",
        r"exec format error",
        r"no match for platform",
    ),
    _hint(
        "this machine may not pull the base image: docker login to its registry, and check its name",
        r"pull access denied",
        r"insufficient_scope",
        r"authorization failed",
        r"40[13] (?:Unauthorized|Forbidden)",
    ),
    _hint(
        "check the base image's name and tag, and that this machine reaches its registry",
        r"failed to resolve source metadata",
        r"failed to do request",
        r"failed to resolve reference",
        r": not found$",
    ),
)
