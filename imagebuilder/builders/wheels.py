"""Builds wheels with BuildKit, on the image that they are for: never on this machine."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.builders.buildkit import raise_failure, run_buildx
from imagebuilder.builders.buildx import wheels_command
from imagebuilder.builders.context import write_files
from imagebuilder.builders.rawjson import ProgressReader
from imagebuilder.builders.tools import Tools
from imagebuilder.builders.workspace import workspace
from imagebuilder.cache.kinds import IMAGES
from imagebuilder.errors import BuildError
from imagebuilder.plan.wheels import BASE, render_wheels

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.plan.wheels import WheelStep
    from imagebuilder.registry import Descriptor
    from imagebuilder.sources.material import Material
    from imagebuilder.spec.platform import Platform


@dataclass(frozen=True)
class StageBase:
    """The image that wheels are built on: at a registry, or by its manifest in the store of this machine."""

    reference: str | None = None
    manifest: Descriptor | None = None


class WheelStage:
    """Runs build backends in a BuildKit, that of the buildx builder named `builder` if it is given."""

    def __init__(self, cache_dir: Path, environ: Mapping[str, str], builder: str | None = None) -> None:
        self._cache_dir = cache_dir
        self._environ = environ
        self._builder = builder
        self._tools = Tools(cache_dir, environ)

    @contextlib.contextmanager
    def built(
        self,
        base: StageBase,
        steps: Sequence[WheelStep],
        materials: Mapping[str, Material],
        request: BuildRequest,
        platform: Platform,
        *,
        emit: Emit,
        cancel: threading.Event,
    ) -> Iterator[list[Path]]:
        """Build one wheel for each step, all in one run; their paths hold inside the context.

        Raises:
            BuildError: a build failed, or made no wheel; the message names the layer and the package.
            BuilderUnavailableError: no BuildKit answers.
            SourceChangedError: a file is no longer what was identified.
            KeyboardInterrupt: `cancel` was set.
        """
        site = request.site
        with workspace(self._cache_dir / "work", f"{request.name} wheels") as folder:
            rendered = render_wheels(
                base.reference or BASE, steps, site=bool(site.script), ca=site.ca_bundle is not None
            )
            context, output = folder / "context", folder / "output"
            write_files(context, rendered.dockerfile, materials, (platform,), self._tools)
            layout = None if base.manifest is None else self._layout(folder / "base", base.manifest)
            command = wheels_command(
                request, platform, context=context, output=output, base=layout, builder=self._builder
            )
            reader = ProgressReader(request.name, stages=rendered.stages)
            code, redact = run_buildx(command, self._environ, request, reader, emit=emit, cancel=cancel)
            raise_failure(code, request, reader, redact)
            yield [_wheel(output / name, step, request) for name, step in zip(rendered.stages, steps, strict=True)]

    def _layout(self, folder: Path, manifest: Descriptor) -> str:
        """An OCI layout of one image, whose blobs are those of the store."""
        folder.mkdir()
        (folder / "blobs").symlink_to((IMAGES.at(self._cache_dir) / "blobs").resolve())
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        index = {"schemaVersion": 2, "manifests": [manifest.to_json()]}
        (folder / "index.json").write_text(json.dumps(index))
        return f"{folder}@{manifest.digest}"


def _wheel(folder: Path, step: WheelStep, request: BuildRequest) -> Path:
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        where = f"layer {step.layer}, {request.plan.titles[step.layer]}" if step.layer else request.plan.titles[0]
        made = ", ".join(path.name for path in found) or "none"
        raise BuildError(f"{request.name}: {where}: {step.op.shows}: its build must make one wheel, and made {made}")
    return found[0]
