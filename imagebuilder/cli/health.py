"""What building needs, looked at one by one: each answers with what it found and what to do."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from imagebuilder.cache.kinds import TOOLS
from imagebuilder.cli.units import size
from imagebuilder.config import KINDS
from imagebuilder.errors import ImageBuilderError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imagebuilder.config import Config

_EXTRAS = ("click", "jinja2", "packaging", "platformdirs", "rich", "uv")
_PYTHON = (3, 10)
_BUILDX = (0, 13)
_SECONDS = 20.0


class State(Enum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Health:
    """What was looked at, how it is, and what to type where it could be better."""

    what: str
    state: State
    found: str
    hint: str | None = None


def checks(config: Config, registries: Sequence[str]) -> list[Callable[[], list[Health]]]:
    """Everything there is to look at, in the order in which it is told."""
    # A host that only has mirrors is nowhere named as a place to push to or pull from.
    configured = [name for name, settings in config.registries.items() if settings.keys() - {"mirrors"}]
    named = dict.fromkeys([*([config.registry] if config.registry else []), *configured, *registries])
    mirrors = {found: name for name, settings in config.registries.items() for found in settings.get("mirrors", ())}
    return [
        python,
        extras,
        partial(docker, config),
        partial(uv, config),
        partial(configuration, config),
        partial(cache, config),
        partial(ca_bundle, config),
        partial(credentials, config),
        *(partial(registry, config, name) for name in named),
        *(partial(mirror, config, found, name) for found, name in mirrors.items() if found not in named),
    ]


def python() -> list[Health]:
    """The Python that runs specs."""
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < _PYTHON:
        return [Health("python", State.PROBLEM, found, "use Python 3.10 or later")]
    return [Health("python", State.OK, found)]


def extras() -> list[Health]:
    """The packages of the extra `engine`."""
    missing = ", ".join(name for name in _EXTRAS if _version(name) is None)
    if missing:
        return [Health("extras", State.PROBLEM, f"not installed: {missing}", 'pip install "imagebuilder[engine]"')]
    return [Health("extras", State.OK, "imagebuilder[engine] is installed")]


def docker(config: Config) -> list[Health]:
    """The docker command, the engine, buildx, and whether they make OCI images."""
    command = which("docker", path=config.environ.get("PATH"))
    if command is None:
        hint = "install Docker's CLI and its buildx plugin (Debian: docker-cli docker-buildx)"
        return [Health("docker", State.PROBLEM, "there is no `docker` command on PATH", hint)]
    return [Health("docker", State.OK, command), *_buildx(config), *_engine(config)]


def _buildx(config: Config) -> list[Health]:
    code, said = _run(config, "buildx", "version")
    numbers = re.search(r"v?(\d+)\.(\d+)(?:\.\S+)?", said) if code == 0 else None
    if numbers is None:
        hint = "install the buildx plugin 0.13 or later (Debian: docker-buildx, Docker's own: docker-buildx-plugin)"
        return [Health("buildx", State.PROBLEM, "the docker command has no buildx", hint)]
    if (int(numbers[1]), int(numbers[2])) < _BUILDX:
        return [Health("buildx", State.PROBLEM, f"{numbers[0]} is too old", "install buildx 0.13 or later")]
    return [Health("buildx", State.OK, numbers[0])]


def _engine(config: Config) -> list[Health]:
    code, said = _run(config, "info", "--format", "{{json .}}")
    info = _json(said)
    running = bool(info.get("ServerVersion"))
    if running:
        found = f"{info['ServerVersion']} at {config.environ.get('DOCKER_HOST') or 'its default address'}"
        engine = Health("engine", State.OK, found)
    else:
        errors = info.get("ServerErrors")
        why = (
            str(errors[0]) if isinstance(errors, list) and errors else said.strip() or f"docker info ended with {code}"
        )
        hint = (
            "systemctl start docker, or export DOCKER_HOST=unix:///PATH/docker.sock where one runs, "
            "or --builder NAME for one of docker buildx ls"
        )
        # What is only files needs no engine, and a buildx builder may be elsewhere.
        state = State.PROBLEM if config.builder in ("auto", "buildkit") else State.WARNING
        engine = Health("engine", state, f"no Docker answers: {_one_line(why)}", hint)
    return [engine, *_builder(config, info)]


def _builder(config: Config, info: dict[str, object]) -> list[Health]:
    named = config.builder not in KINDS
    told = not named and not info.get("ServerVersion")  # by the engine's line
    code, said = _run(config, "buildx", "inspect", *([config.builder] if named else []))
    if code != 0:
        if told:
            return []
        return [Health("builder", State.PROBLEM, _one_line(said), "docker buildx ls lists the builders")]
    fields = dict(re.findall(r"^(Name|Driver|Status|Platforms|Error): +(.+)$", said, re.MULTILINE))
    name = re.search(r"^Name: +(\S+)", said, re.MULTILINE)
    found = f"{name[1] if name else 'default'} ({fields.get('Driver', 'unknown driver')})"
    if fields.get("Error"):
        if told and fields.get("Driver", "").strip() in ("", "docker"):
            return []
        return [
            Health(
                "builder",
                State.PROBLEM,
                f"{found}: {_one_line(fields['Error'])}",
                "docker buildx ls lists the builders",
            )
        ]
    snapshotter = "io.containerd.snapshotter" in json.dumps(info.get("DriverStatus"))
    if fields.get("Driver") == "docker" and not snapshotter:
        hint = "Docker's containerd image store makes it faster, and several platforms possible"
        return [Health("builder", State.OK, f"{found}, by way of Docker's image store; {hint}")]
    return [Health("builder", State.OK, f"{found}, writes OCI images for {fields.get('Platforms', 'this platform')}")]


def uv(config: Config) -> list[Health]:
    """The uv that steps install Python packages with."""
    found = _version("uv")
    if found is None:
        hint = 'pip install "imagebuilder[engine]"'
        return [Health("uv", State.PROBLEM, "not installed; layers with Python packages need it", hint)]
    kept = sorted(path.parent.name for path in (TOOLS.at(config.cache_dir) / f"uv-{found}").glob("*/uv"))
    at_hand = f", at hand for {', '.join(kept)}" if kept else ""
    return [Health("uv", State.OK, f"{found}{at_hand}")]


def configuration(config: Config) -> list[Health]:
    """The file that settings come from."""
    if config.source is None:
        return [Health("configuration", State.OK, "no imagebuilder.toml or [tool.imagebuilder]: the defaults hold")]
    return [Health("configuration", State.OK, str(config.source))]


def cache(config: Config) -> list[Health]:
    """The folder where layers are kept."""
    folder = config.cache_dir
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        hint = "set cache_dir, or IMAGEBUILDER_CACHE_DIR, to a folder you may write to"
        return [Health("cache", State.PROBLEM, f"{folder} cannot be written", hint)]
    if not folder.exists():
        return [Health("cache", State.OK, f"{folder} (not made yet)")]
    return [Health("cache", State.OK, f"{folder} ({size(_bytes(folder))})")]


def ca_bundle(config: Config) -> list[Health]:
    """The certificates that steps get."""
    bundle = config.site.get("ca_bundle")
    if bundle is None:
        return [Health("certificates", State.OK, "the usual ones; no CA bundle is set")]
    try:
        certificates = Path(bundle).read_bytes().count(b"-----BEGIN CERTIFICATE-----")
    except OSError as error:
        hint = "correct SSL_CERT_FILE, or ca_bundle under [tool.imagebuilder.site]"
        return [Health("certificates", State.PROBLEM, f"{bundle}: {error.strerror}", hint)]
    if not certificates:
        return [Health("certificates", State.PROBLEM, f"{bundle} holds no certificate", "give a bundle in PEM format")]
    return [Health("certificates", State.OK, f"{bundle} ({certificates} certificates)")]


def credentials(config: Config) -> list[Health]:
    """The files of registry logins."""
    from imagebuilder.registry import CredentialStore

    home = config.environ.get("HOME")
    store = CredentialStore(config.environ, Path(home) if home else None)
    found = [str(path) for path in store.paths() if path.is_file()]
    found += ["DOCKER_AUTH_CONFIG"] if config.environ.get("DOCKER_AUTH_CONFIG") else []
    try:
        store.lookup("localhost", "none")
    except ImageBuilderError as error:
        return [Health("logins", State.PROBLEM, error.message, error.hint)]
    if not found:
        return [
            Health("logins", State.OK, "none found: registries are asked anonymously", "docker login HOST, to push")
        ]
    return [Health("logins", State.OK, ", ".join(found))]


def registry(config: Config, name: str) -> list[Health]:
    """Whether a registry answers; a repository that hardly exists is asked for."""
    from imagebuilder.registry import Unknown, check
    from imagebuilder.spec.reference import Reference

    what = f"registry {name}"
    try:
        reference = Reference.parse(f"{name.rstrip('/')}/imagebuild-doctor:none")
        with config.make_client() as client:
            verdict = check(client, reference)
    except ImageBuilderError as error:
        return [Health(what, State.PROBLEM, error.message, error.hint)]
    if not isinstance(verdict, Unknown):
        return [Health(what, State.OK, "answers")]
    if verdict.denied:
        return [Health(what, State.WARNING, f"answers, and denies: {verdict.reason}", verdict.hint)]
    return [Health(what, State.PROBLEM, verdict.reason, verdict.hint)]


def mirror(config: Config, name: str, of: str) -> list[Health]:
    """Whether a mirror answers; where it does not, the registry it stands for is asked instead."""
    return [
        replace(
            item,
            what=f"mirror {name}",
            state=State.WARNING if item.state is State.PROBLEM else item.state,
            found=f"{item.found}, for {of}" if item.state is State.OK else item.found,
        )
        for item in registry(config, name)
    ]


def _run(config: Config, *args: str) -> tuple[int, str]:
    """The exit code and the words of a docker command: its output, or its complaints where it failed."""
    try:
        done = subprocess.run(
            ["docker", *args],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            env=dict(config.environ),
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, f"docker {args[0]}: {error}"
    return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _json(text: str) -> dict[str, object]:
    try:
        value = json.JSONDecoder().raw_decode(text.strip())[0]
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _bytes(folder: Path) -> int:
    """What a folder takes on the disk; what vanishes meanwhile takes nothing."""
    return sum(_blocks(path) for parent, _, files in os.walk(folder) for path in (Path(parent, file) for file in files))


def _blocks(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 200 else f"{words[:199]}…"
