"""The images and containers that the benchmark makes in Docker: noted when they are named, removed whatever ends it."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid

_LABEL = f"imagebuilder-bench={uuid.uuid4().hex}"
_noted: set[str] = set()


def noted(image: str) -> str:
    """The same image, which is removed at the end if Docker has it then."""
    _noted.add(image)
    return image


def run(image: str, *command: str) -> str:
    """What a container of an image prints."""
    words = [_docker(), "run", "--rm", "--quiet", "--label", _LABEL, noted(image), *command]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def remove() -> None:
    """Remove what is left."""
    containers = subprocess.run(
        [_docker(), "ps", "--all", "--quiet", "--filter", f"label={_LABEL}"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if containers:
        subprocess.run([_docker(), "rm", "--force", *containers], capture_output=True, check=False)
    names = [name for image in _noted for name in _names(image)]
    if names:
        subprocess.run([_docker(), "image", "rm", "--force", *sorted(set(names))], capture_output=True, check=False)
    _noted.clear()


def _names(image: str) -> list[str]:
    """Every name of an image that Docker has: one that was pulled by a digest keeps it."""
    found = subprocess.run([_docker(), "image", "inspect", image], capture_output=True, text=True, check=False)
    if found.returncode:
        return []
    (told,) = json.loads(found.stdout)
    return [*told["RepoTags"], *told["RepoDigests"]]


def _docker() -> str:
    return shutil.which("docker") or "docker"
