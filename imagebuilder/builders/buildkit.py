"""Builds with BuildKit, driven through `docker buildx`."""

from __future__ import annotations

import codecs
from dataclasses import replace
from typing import TYPE_CHECKING

from imagebuilder.builders.buildx import SOURCE_DATE_EPOCH, Command, build_command
from imagebuilder.builders.context import write_context, write_dockerfile_context
from imagebuilder.builders.events import BuildEvent, Emit, Log, Step
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.builders.failure import build_failure
from imagebuilder.builders.image_store import NO_LAYOUTS, ImageStore
from imagebuilder.builders.normalize import Normalizer
from imagebuilder.builders.port import BuildRequest, Built
from imagebuilder.builders.rawjson import ProgressReader
from imagebuilder.builders.running import running
from imagebuilder.builders.tools import Tools
from imagebuilder.builders.workspace import workspace
from imagebuilder.cache.in_use import in_use, touch
from imagebuilder.cache.kinds import IMAGES, NORMALIZED
from imagebuilder.errors import BuilderUnavailableError
from imagebuilder.plan.ops import DockerfilePlan
from imagebuilder.registry.layout import OCILayout
from imagebuilder.spec.redact import Redactor

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from imagebuilder.registry.descriptor import Descriptor


class BuildKitBuilder:
    """Builds where commands must run: locally, or on the builder named `builder`.

    Layers are kept under `cache_dir`, so that a build transfers and compresses only what changed.
    """

    def __init__(self, cache_dir: Path, environ: Mapping[str, str], builder: str | None = None) -> None:
        self._cache_dir = cache_dir
        self._environ = environ
        self._builder = builder
        self._layout = OCILayout(IMAGES.at(cache_dir))
        self._tools = Tools(cache_dir, environ)
        self._old_store = False  # the engine cannot write OCI layouts, as we learned by asking it to

    def build(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """Build one image into an OCI layout.

        Raises:
            BuildError: a step failed.
            BuilderUnavailableError: no BuildKit answers.
            SourceChangedError: a file is no longer what was identified.
            KeyboardInterrupt: `cancel` was set.
        """
        with in_use(self._cache_dir, quiet=True), workspace(self._cache_dir / "work", request.name) as folder:
            dockerfile, context, numbered = self._context(request, folder / "context")

            def run(output: Path | None, metadata: Path | None = None) -> bool:
                command = build_command(
                    request,
                    dockerfile=dockerfile,
                    context=context,
                    output=output,
                    metadata=metadata,
                    builder=self._builder,
                )
                return self._run(command, request, numbered, emit, cancel)

            return Built(self._layout, self._normalize(self._make(run, request, folder, cancel), cancel))

    def _make(
        self,
        run: Callable[[Path | None, Path | None], bool],
        request: BuildRequest,
        folder: Path,
        cancel: threading.Event,
    ) -> Descriptor:
        """Build into our own blobs, or by way of the engine's image store where that is all it can."""
        if not self._old_store:
            output = self._output(folder)
            if run(output, None):
                return OCILayout(output).roots()[0]
            self._old_store = True
        metadata = folder / "metadata.json"
        run(None, metadata)
        return ImageStore(self._environ, self._layout).take(request.name, metadata, _stops(cancel))

    def _context(self, request: BuildRequest, folder: Path) -> tuple[Path, Path, tuple[tuple[int, str], ...]]:
        if isinstance(request.plan, DockerfilePlan):
            return (*write_dockerfile_context(request.plan, folder), ())
        rendered = write_context(
            request.plan,
            folder,
            request.platforms,
            self._tools,
            site=bool(request.site.script),
            ca=request.site.ca_bundle is not None,
            bytecode=request.site.bytecode,
        )
        return folder / "Dockerfile", folder, rendered.numbered

    @property
    def _blobs(self) -> Path:
        return self._layout.folder / "blobs" / "sha256"

    def _output(self, folder: Path) -> Path:
        """A layout whose blobs are the ones every build shares: BuildKit sends only those that are missing."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        output = folder / "output"
        output.mkdir()
        (output / "blobs").symlink_to(self._blobs.parent.resolve())
        return output

    def _normalize(self, root: Descriptor, cancel: threading.Event) -> Descriptor:
        memory = NORMALIZED.at(self._cache_dir)
        normalizer = Normalizer(self._layout, self._blobs, memory, SOURCE_DATE_EPOCH, _stops(cancel))
        root = normalizer.image(root)
        touch(map(self._layout.path, normalizer.used))
        return root

    def _run(
        self,
        command: Command,
        request: BuildRequest,
        numbered: tuple[tuple[int, str], ...],
        emit: Emit,
        cancel: threading.Event,
    ) -> bool:
        """Whether it was built; False where one platform was to be a layout and the engine writes none."""
        reader = ProgressReader(request.name, numbered)
        code, redact = run_buildx(command, self._environ, request, reader, emit=emit, cancel=cancel)
        if code != 0 and NO_LAYOUTS in reader.tail and len(request.platforms) == 1:
            return False
        raise_failure(code, request, reader, redact)
        return True


def run_buildx(
    command: Command,
    environ: Mapping[str, str],
    request: BuildRequest,
    reader: ProgressReader,
    *,
    emit: Emit,
    cancel: threading.Event,
) -> tuple[int, Redactor]:
    """Run buildx to its end; what it says becomes events, without secrets. Returns its exit code.

    Raises:
        BuilderUnavailableError: it is not installed.
        KeyboardInterrupt: `cancel` was set.
    """
    redact = Redactor((*request.secrets.values(), *request.site.secret_values))
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    try:
        with running(command.args, {**environ, **command.environ}) as process:
            for data in process.errors(cancel):
                for event in reader.feed(decode(data)):
                    emit(_redacted(event, redact))
            code = process.wait()
    except (FileNotFoundError, PermissionError):
        raise BuilderUnavailableError(
            f"{request.name}: building needs the `docker` command with buildx, which is not on PATH",
            hint="install Docker's CLI and its buildx plugin; `imagebuild doctor` says what is missing",
        ) from None
    reader.close()
    return code, redact


def raise_failure(code: int, request: BuildRequest, reader: ProgressReader, redact: Redactor) -> None:
    """Turn an exit code into an error, if it is one.

    Raises:
        BuildError: a step failed.
        BuilderUnavailableError: no BuildKit answers.
    """
    if code != 0:
        error = build_failure(request.name, reader, request.plan.titles, code)
        raise type(error)(redact(error.message), hint=error.hint) from None


def _stops(cancel: threading.Event) -> Callable[[], None]:
    def check() -> None:
        if cancel.is_set():
            raise KeyboardInterrupt

    return check


def _redacted(event: BuildEvent, redact: Redactor) -> BuildEvent:
    match event:
        case Log(line=line):
            return replace(event, line=redact(line))
        case Step(title=title):
            return replace(event, title=redact(title))
        case BuildWarning(message=message):
            return replace(event, message=redact(message))
        case _:
            return event
