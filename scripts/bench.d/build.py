"""How long whole builds take, beside plain `docker buildx build --push` of what we render."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

import images
from row import Row, medians, seconds

ROUNDS = 5
IMAGES = 20
IMAGEBUILD = str(Path(sys.executable).parent / "imagebuild")
_REGISTRY = os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "localhost:5000")

_EXISTING = """
from imagebuilder import Image
base = Image.from_base("debian:bookworm-slim", registry={registry!r}).with_source_folder("code", "/app")
for number in range({count}):
    globals()[f"image_{{number}}"] = base.clone(name=f"bench-{run}-{{number}}").with_env_vars({{"NUMBER": str(number)}})
"""
_REBUILT = """
from imagebuilder import Image
image = (
    Image.from_debian_base("3.11", name="bench-{run}", registry={registry!r})
    .with_pip_packages("numpy", "pandas")
    .with_source_folder("code", "/app")
)
"""


def rows() -> list[Row]:
    """A spec whose images all exist, and a rebuild after one changed file."""
    with tempfile.TemporaryDirectory(prefix="imagebuilder-bench-") as folder:
        place, run = Path(folder), uuid.uuid4().hex[:8]
        (place / "code").mkdir()
        for number in range(50):
            (place / "code" / f"module_{number}.py").write_text(f"value = {number}\n" * 50)
        return [_existing(place, run), _rebuilt(place, run)]


def _existing(place: Path, run: str) -> Row:
    (place / "existing.py").write_text(_EXISTING.format(registry=_REGISTRY, count=IMAGES, run=run))
    command = [IMAGEBUILD, "build", "existing.py", "--progress", "quiet"]
    seconds(command, cwd=place)
    (taken,) = medians(ROUNDS, lambda: seconds(command, cwd=place))
    return Row(
        f"imagebuild build, {IMAGES} images that all exist", f"{taken:.2f} s", "whole process", "<= 0.5 s", taken <= 0.5
    )


def _rebuilt(place: Path, run: str) -> Row:
    (place / "rebuilt.py").write_text(_REBUILT.format(registry=_REGISTRY, run=run))
    command = [IMAGEBUILD, "build", "rebuilt.py", "--progress", "quiet"]
    seconds(command, cwd=place)
    rendered = place / "rendered"
    seconds([IMAGEBUILD, "render", "rebuilt.py", "--output", str(rendered)], cwd=place)
    source = next(path for path in rendered.iterdir() if (path / "module_0.py").exists())
    plain = _plain(rendered, images.noted(f"{_REGISTRY}/bench-plain-{run}:latest"))
    seconds(plain, cwd=place)
    count = 0

    def edit(path: Path) -> None:
        nonlocal count
        count += 1
        path.write_text(f"value = {count}\n")

    def ours() -> float:
        edit(place / "code" / "module_0.py")
        return seconds(command, cwd=place)

    def theirs() -> float:
        edit(source / "module_0.py")
        return seconds(plain, cwd=place)

    our_time, their_time = medians(ROUNDS, ours, theirs)
    ratio = our_time / their_time
    return Row(
        "rebuild after one changed file, build and push",
        f"{our_time:.2f} s",
        f"docker buildx build --push {their_time:.2f} s, ratio {ratio:.2f}",
        "ratio <= 1.5",
        ratio <= 1.5,
    )


def _plain(folder: Path, tag: str) -> list[str]:
    docker = shutil.which("docker") or "docker"
    command = [docker, "buildx", "build", "--push", "--tag", tag, "--provenance=false"]
    if network := os.environ.get("IMAGEBUILDER_NETWORK"):
        command += ["--network", network]
    dockerfile = (folder / "Dockerfile").read_text()
    if "imagebuilder-ca" in dockerfile:
        command += ["--secret", f"id=imagebuilder-ca,src={os.environ['SSL_CERT_FILE']}"]
    if "imagebuilder-site" in dockerfile:
        command += ["--secret", f"id=imagebuilder-site,src={folder / '.imagebuild-site.sh'}"]
    return [*command, str(folder)]
