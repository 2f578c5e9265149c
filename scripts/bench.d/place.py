"""A folder with a spec that is built in two ways: by us, and by `docker buildx build --push` of what we render."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

import images
from build import IMAGEBUILD, _plain
from row import Row, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

REGISTRY = os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "localhost:5000")
_SPEC = """
from imagebuilder import Image
image = (
    Image.from_debian_base("3.11", name="{name}", registry={registry!r}, install_sdk={sdk})
    {packages}
    .with_source_folder("code", "/app/code")
)
"""
_FROM = re.compile(r"^(FROM (?!scratch).*)$", re.MULTILINE)
_MARK = re.compile(r"^ENV BENCH=.*\n", re.MULTILINE)


class Taken(NamedTuple):
    """One build of ours: wall seconds of the whole process, its peak memory in MB, and what it said of the image."""

    seconds: float
    memory: float
    image: dict[str, object]

    @property
    def uploaded(self) -> int:
        """Bytes that went to the registry."""
        return int(str(self.image["bytes_uploaded"]))

    @property
    def uri(self) -> str:
        """What to run."""
        return str(self.image["uri"])


class Place:
    """The folder, and everything made of it in one run; `bytecode` is whether both sides compile it."""

    def __init__(self, folder: Path, *, bytecode: bool) -> None:
        self.folder = folder
        self.environ = {**os.environ, "IMAGEBUILDER_BUILDER": "direct", "IMAGEBUILDER_BYTECODE": str(int(bytecode))}
        self.run = uuid.uuid4().hex[:8]
        self._count = 0
        (folder / "code").mkdir(parents=True)
        for number in range(50):
            (folder / "code" / f"module_{number}.py").write_text(f"value = {number}\n" * 50)

    def spec(self, name: str, packages: str, *, sdk: bool = False) -> None:
        """Write the spec; `packages` is the call that adds them."""
        text = _SPEC.format(name=f"bench-{self.run}/{name}", registry=REGISTRY, packages=packages, sdk=sdk)
        (self.folder / "spec.py").write_text(text)

    def ours(self, cache: str, **environ: str) -> Taken:
        """Build with a cache folder of that name."""
        env = {**self.environ, "IMAGEBUILDER_CACHE_DIR": str(self.folder / cache), **environ}
        began = time.perf_counter()
        process = subprocess.Popen(
            [IMAGEBUILD, "build", "spec.py", "--json", "--progress", "quiet"],
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            said = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        taken = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"imagebuild build ended with {process.returncode}")
        return Taken(taken, usage.ru_maxrss / 1024, json.loads(said)["images"][0])

    def render(self) -> Path:
        """The spec as a Dockerfile with its context."""
        rendered = self.folder / f"rendered-{self.number()}"
        seconds([IMAGEBUILD, "render", "spec.py", "--output", str(rendered)], cwd=self.folder, env=self.environ)
        return rendered

    def theirs(
        self,
        rendered: Path,
        name: str,
        *,
        cold: bool = False,
        options: tuple[str, ...] = (),
        most: float | None = None,
    ) -> float:
        """Seconds of the peer; with `cold` no step is cached, and uv's cache mount is as it was.

        Raises:
            subprocess.TimeoutExpired: it took longer than `most`.
        """
        if cold:
            # A variable that nothing reads: --no-cache would empty the cache mounts too, to the peer's loss.
            text = _MARK.sub("", (rendered / "Dockerfile").read_text())
            (rendered / "Dockerfile").write_text(_FROM.sub(rf"\1\nENV BENCH={uuid.uuid4().hex}", text))
        *command, context = _plain(rendered, self.tag(name))
        return seconds([*command, *options, context], cwd=self.folder, most=most)

    def tag(self, name: str) -> str:
        """Where the peer pushes to."""
        return images.noted(f"{REGISTRY}/bench-{self.run}/{name}:latest")

    def number(self) -> int:
        """Another number each time."""
        self._count += 1
        return self._count

    def edit(self, folder: Path) -> None:
        """Change one module."""
        (folder / "module_0.py").write_text(f"value = {self.number()}\n")


def pip(*packages: str) -> str:
    """The call that adds packages by name."""
    return f".with_pip_packages({', '.join(map(repr, packages))})"


def lock(place: Place, packages: Sequence[str]) -> tuple[str, int]:
    """Lock packages as they are today; gives the call that adds them, and how many there are."""
    (place.folder / "requirements.in").write_text("\n".join(packages) + "\n")
    target = ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
    uv = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--format", "pylock.toml", *target]
    seconds([*uv, "--output-file", "pylock.toml", "requirements.in"], cwd=place.folder)
    count = (place.folder / "pylock.toml").read_text().count("[[packages]]")
    return '.with_pylock("pylock.toml")', count


def beside(name: str, ours: float, theirs: float, least: float) -> Row:
    """A row that says how many times faster."""
    ratio = theirs / ours
    return Row(name, f"{ours:.2f} s", f"docker {theirs:.2f} s, {ratio:.1f} x", f">= {least:g} x", ratio >= least)
