"""Builds with BuildKit, driven through `docker buildx`."""

from __future__ import annotations

import codecs
import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from imagebuilder.builders.buildx import SOURCE_DATE_EPOCH, Command, build_command
from imagebuilder.builders.context import write_context, write_dockerfile_context
from imagebuilder.builders.events import BuildEvent, Emit, Log
from imagebuilder.builders.failure import build_failure
from imagebuilder.builders.normalize import Normalizer
from imagebuilder.builders.port import Built, BuildRequest
from imagebuilder.builders.rawjson import ProgressReader
from imagebuilder.builders.redact import Redactor
from imagebuilder.builders.tools import Tools
from imagebuilder.builders.workspace import workspace
from imagebuilder.errors import BuilderUnavailableError
from imagebuilder.plan.ops import DockerfilePlan
from imagebuilder.registry.layout import OCILayout

_POLL = 0.1  # seconds between looks at whether the build was cancelled
_GRACE = 10.0  # seconds that buildx gets to cancel its build before it is killed


class BuildKitBuilder:
    """Builds where commands must run: locally, or on the builder named `builder`.

    Layers are kept under `cache_dir`, so that a build transfers and compresses only what changed.
    """

    def __init__(self, cache_dir: Path, environ: Mapping[str, str], builder: str | None = None) -> None:
        self._cache_dir = cache_dir
        self._environ = environ
        self._builder = builder
        self._tools = Tools(cache_dir)

    def build(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """Build one image into an OCI layout.

        Raises:
            BuildError: a step failed.
            BuilderUnavailableError: no BuildKit answers.
            SourceChangedError: a file is no longer what was identified.
        """
        site = request.site
        with workspace(self._cache_dir / "work") as folder:
            numbered: tuple[tuple[int, str], ...] = ()
            if isinstance(request.plan, DockerfilePlan):
                dockerfile, context = write_dockerfile_context(request.plan, folder / "context")
            else:
                context = folder / "context"
                rendered = write_context(
                    request.plan,
                    context,
                    request.platforms,
                    self._tools,
                    site=bool(site.script),
                    ca=site.ca_bundle is not None,
                )
                dockerfile, numbered = context / "Dockerfile", rendered.numbered
            output = self._output(folder)
            command = build_command(
                request, dockerfile=dockerfile, context=context, output=output, builder=self._builder
            )
            self._run(command, request, numbered, emit, cancel)
            return self._finish(output)

    def _output(self, folder: Path) -> Path:
        """A layout whose blobs are the ones every build shares: BuildKit sends only those that are missing."""
        blobs = self._cache_dir / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        output = folder / "output"
        output.mkdir()
        (output / "blobs").symlink_to(blobs.parent.resolve())
        return output

    def _finish(self, output: Path) -> Built:
        layout = OCILayout(self._cache_dir)
        memory = self._cache_dir / "normalized"
        normalizer = Normalizer(layout, self._cache_dir / "blobs" / "sha256", memory, SOURCE_DATE_EPOCH)
        return Built(layout, normalizer.image(OCILayout(output).roots()[0]))

    def _run(
        self,
        command: Command,
        request: BuildRequest,
        numbered: tuple[tuple[int, str], ...],
        emit: Emit,
        cancel: threading.Event,
    ) -> None:
        redact = Redactor((*request.secrets.values(), *request.site.secret_values))
        reader = ProgressReader(request.name, numbered)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        try:
            process = subprocess.Popen(
                command.args,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**self._environ, **command.environ},
                start_new_session=True,  # an interrupt is ours to pass on, once
            )
        except FileNotFoundError:
            raise BuilderUnavailableError(
                f"{request.name}: building needs the `docker` command with buildx, which is not on PATH",
                hint="install Docker's CLI and its buildx plugin; `imagebuild doctor` says what is missing",
            ) from None
        try:
            assert process.stderr is not None
            descriptor = process.stderr.fileno()
            while True:
                if cancel.is_set():
                    raise KeyboardInterrupt
                if not select.select([descriptor], [], [], _POLL)[0]:
                    continue
                data = os.read(descriptor, 1 << 16)
                if not data:
                    break
                for event in reader.feed(decode(data)):
                    emit(_redacted(event, redact))
            code = process.wait()
        finally:
            _end(process)
        reader.close()
        if code != 0:
            error = build_failure(request.name, reader, request.plan.titles, code)
            raise type(error)(redact(error.message), hint=error.hint) from None


def _redacted(event: BuildEvent, redact: Redactor) -> BuildEvent:
    return Log(event.image, event.id, redact(event.line)) if isinstance(event, Log) else event


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing running: buildx cancels its build on an interrupt, and is killed if it does not end."""
    if process.stderr is not None:
        process.stderr.close()
    for sign in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            break
        try:
            os.killpg(process.pid, sign)
            process.wait(_GRACE)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    process.wait()
