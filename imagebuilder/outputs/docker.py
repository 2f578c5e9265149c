"""The local Docker engine, as far as images are concerned."""

from __future__ import annotations

import json
import subprocess
import tempfile
from typing import TYPE_CHECKING

from imagebuilder.errors import BuilderUnavailableError, WorkError
from imagebuilder.outputs.archive import stream_archive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.store import ContentStore

_ANSWER_SECONDS = 20.0


class Docker:
    """Drives the `docker` command with a given environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def answers(self) -> str | None:
        """The server's version; None where no engine answers."""
        done = self._run("version", "--format", "{{.Server.Version}}")
        return done.stdout.strip() or None if done is not None and done.returncode == 0 else None

    def buildx(self) -> str | None:
        """The version of the buildx plugin; None where there is none."""
        done = self._run("buildx", "version")
        return done.stdout.strip() or None if done is not None and done.returncode == 0 else None

    def config(self, name: str) -> dict[str, object] | None:
        """The config of an image in Docker's own store; None where it has none of that name."""
        done = self._run("image", "inspect", "--format", "{{json .}}", name)
        if done is None or done.returncode != 0:
            return None
        found = json.loads(done.stdout)
        return found if isinstance(found, dict) else None

    def load(self, store: ContentStore, root: Descriptor, name: str) -> None:
        """Put an image into Docker under a name.

        Raises:
            BuilderUnavailableError: there is no `docker` command.
            WorkError: the engine refused it.
        """
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed below; a pipe could fill up while we write
        try:
            process = subprocess.Popen(
                ["docker", "image", "load", "--quiet"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=self._environ,
            )
        except OSError:
            said.close()
            raise _no_docker() from None
        with said:
            try:
                if process.stdin is not None:
                    with process.stdin:
                        stream_archive(store, root, name, process.stdin)
            except BrokenPipeError:
                pass  # its exit code and words say why
            except BaseException:
                process.kill()
                raise
            finally:
                code = process.wait()
            said.seek(0)
            words = said.read().decode(errors="replace").strip()
        if code != 0:
            raise WorkError(
                f"Docker did not take {name}: {words or f'exit code {code}'}",
                hint="push it to a registry with --push, or write it to a folder with --output oci:DIR",
            )

    def _run(self, *args: str) -> subprocess.CompletedProcess[str] | None:
        try:
            return subprocess.run(
                ["docker", *args],
                capture_output=True,
                text=True,
                timeout=_ANSWER_SECONDS,
                check=False,
                env=self._environ,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None


def _no_docker() -> BuilderUnavailableError:
    return BuilderUnavailableError(
        "the `docker` command is not on PATH", hint="install Docker, or write the image with --output oci:DIR"
    )
