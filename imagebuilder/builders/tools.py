"""The uv binary of each platform, from the `uv` package of this machine's own index."""

from __future__ import annotations

import os
import platform as machine
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

from imagebuilder.cache.in_use import touch
from imagebuilder.cache.kinds import TOOLS
from imagebuilder.cache.locked import locked
from imagebuilder.errors import BuilderUnavailableError, MissingDependencyError
from imagebuilder.packages.uv import own_uv
from imagebuilder.spec.platform import Platform

# Static builds run on any base, whatever its C library.
_TRIPLES = {
    "amd64": "x86_64-unknown-linux-musl",
    "arm64": "aarch64-unknown-linux-musl",
    "arm": "armv7-unknown-linux-musleabihf",
    "ppc64le": "powerpc64le-unknown-linux-gnu",
    "s390x": "s390x-unknown-linux-gnu",
    "riscv64": "riscv64gc-unknown-linux-gnu",
}


class Tools:
    """Finds or fetches tools for steps, and keeps them under `cache_dir`."""

    def __init__(self, cache_dir: Path, environ: Mapping[str, str]) -> None:
        self._cache_dir = cache_dir
        self._environ = dict(environ)

    def place_uv(self, platform: Platform, folder: Path) -> None:
        """Put the uv binary of a platform into a folder.

        Raises:
            BuilderUnavailableError: it is neither here nor to be had from the package index.
        """
        folder.mkdir(parents=True, exist_ok=True)
        source = self.uv(platform)
        target = folder / "uv"
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
            target.chmod(0o755)

    def uv(self, platform: Platform) -> Path:
        """The path of the uv binary of a platform, fetched once per version."""
        if platform.architecture not in _TRIPLES or platform.os != "linux":
            raise BuilderUnavailableError(
                f"uv, which installs Python packages, is not published for {platform}",
                hint=f"choose one of {', '.join(f'linux/{name}' for name in _TRIPLES)}",
            )
        try:
            wanted = version("uv")
        except PackageNotFoundError as error:
            raise MissingDependencyError(
                "installing Python packages into an image needs uv, which is not installed",
                hint='run pip install "imagebuilder[engine]"',
            ) from error
        cached = TOOLS.at(self._cache_dir) / f"uv-{wanted}" / platform.architecture / "uv"
        if not cached.exists():
            cached.parent.mkdir(parents=True, exist_ok=True)
            # Once for all builds that run side by side.
            with locked(TOOLS.at(self._cache_dir) / ".lock"):
                if not cached.exists():
                    self._fetch(wanted, platform, cached)
        touch([cached])
        return cached

    def _fetch(self, wanted: str, platform: Platform, target: Path) -> None:
        own = own_uv()
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as temporary:
            command = [own, "pip", "install", "--quiet", "--no-deps", "--no-config", "--target", temporary]
            command += [
                "--python",
                sys.executable,
                "--python-platform",
                _TRIPLES[platform.architecture],
                f"uv=={wanted}",
            ]
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                stdin=subprocess.DEVNULL,
                env=self._environ,
            )
            found = Path(temporary) / "bin" / "uv"
            if done.returncode == 0 and found.exists():
                found.chmod(0o755)
                found.replace(target)
                return
            if sys.platform == "linux" and Platform.of("linux", machine.machine()) == platform:
                # Offline: this machine's own binary serves bases with the same C library.
                copy = Path(temporary) / "uv"
                shutil.copyfile(own, copy)
                copy.chmod(0o755)
                copy.replace(target)
                return
        raise BuilderUnavailableError(
            f"uv {wanted} for {platform} could not be fetched from the package index: {done.stderr.strip()[-500:]}",
            hint="check that `uv pip install uv` works on this machine",
        )
