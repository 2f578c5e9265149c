"""What a build would do, before anything of it is done: who makes what, what is there, what would move."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.builders.auto import AutoBuilder
from imagebuilder.builders.direct.builder import DirectBuilder
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.port import BuildRequest
from imagebuilder.errors import ImageBuilderError
from imagebuilder.outputs.output import Push
from imagebuilder.plan.ops import DockerfilePlan, Exec, InstallPackages, Plan
from imagebuilder.plan.segments import segments
from imagebuilder.registry.verdict import Absent, Present, Unknown, Verdict

if TYPE_CHECKING:
    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.forecast import Forecast
    from imagebuilder.builders.events import BuildEvent
    from imagebuilder.builders.port import Prefix
    from imagebuilder.engine import Engine
    from imagebuilder.identity.identified import Identified
    from imagebuilder.registry import Client, Descriptor
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference


@dataclass(frozen=True)
class Way:
    """Who makes a layer, and why where it is not obvious."""

    runs: bool
    reason: str = ""


@dataclass(frozen=True)
class Amount:
    """Bytes that are known, and how many things there are whose size is not."""

    known: int = 0
    unknown: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.known + other.known, self.unknown + other.unknown)


@dataclass
class PlatformForecast:
    """What one platform takes; `unknown` says why there is no more to say, where there is none.

    `base_there` and `base_mounted` are bytes of the base at the target and at a repository beside it; `uploaded` is
    about what must be sent: wheels count as they are published, sources before they are compressed.
    """

    platform: Platform
    wheels: int = 0
    fetched: list[str] = field(default_factory=list)
    fetch: Amount = Amount()
    built: list[tuple[str, int, str]] = field(default_factory=list)
    base_there: int = 0
    base_mounted: int = 0
    uploaded: Amount = Amount()
    unknown: str | None = None


@dataclass
class ImageForecast:
    """What one image takes.

    `below` says where the part is that BuildKit makes, layers 1 to `below_last`: `here`, a reference, or that it
    `runs`.
    """

    item: Identified
    verdict: Verdict | None
    titles: tuple[str, ...]
    ways: list[Way]
    below: str | None = None
    below_last: int = 0
    platforms: list[PlatformForecast] = field(default_factory=list)

    @property
    def is_there(self) -> bool:
        """Whether nothing would be done."""
        return isinstance(self.verdict, Present)


def forecast(engine: Engine, client: Client, items: list[Identified]) -> list[ImageForecast]:
    """Foretell each image; registries and indexes are asked, no secret is read, nothing is built or pushed.

    The first time, the layers of a base are read to see what is in them.

    Raises:
        ImageBuilderError: a base's user could not be asked for.
    """
    output = Push(client)
    wanted = [item for item in items if not item.is_plain_base]
    published = [item for item in wanted if item.image.registry]
    verdicts = dict(zip(map(id, published), output.check(published), strict=True))
    return [_image(engine, client, item, verdicts.get(id(item))) for item in wanted]


def _image(engine: Engine, client: Client, item: Identified, verdict: Verdict | None) -> ImageForecast:
    plan = engine.plan(item)
    refused: dict[int, str] = {}
    while True:
        found = ImageForecast(item, verdict, plan.titles, _ways(plan, engine, refused))
        if found.is_there or not isinstance(plan, Plan) or all(way.runs for way in found.ways):
            return found
        output = Push(client)
        prefix = engine.prefix(item, plan, output, refused)
        request = BuildRequest(item.title, plan, item.image.platforms, site=engine.site, pins=item.pins, prefix=prefix)
        try:
            _fill(found, engine, client, request)
        except NotDirectError as error:
            layer = max(1, error.layer or len(item.image.layers))
            if layer in refused:
                return found
            said = error.message.removeprefix(f"{item.title}: ").removeprefix(f"layer {layer}, ")
            refused[layer] = said.removeprefix(f"{plan.titles[layer]}: ")
        else:
            return found


def _ways(plan: Plan | DockerfilePlan, engine: Engine, refused: dict[int, str]) -> list[Way]:
    count = len(plan.titles)
    if not isinstance(engine.builder, (AutoBuilder, DirectBuilder)):
        return [Way(runs=True, reason="builder = buildkit")] * count
    found = segments(plan, refused)
    if found is None:
        return [
            Way(runs=True, reason="its Dockerfile is run" if isinstance(plan, DockerfilePlan) else "its base must run")
        ] * count
    reasons = dict(found.reasons)
    below = f"it is below layer {found.prefix}, which must run"
    return [
        Way(runs=True, reason=reasons.get(number, below))
        if number <= found.prefix and found.prefix
        else Way(runs=False)
        for number in range(count)
    ]


def _fill(found: ImageForecast, engine: Engine, client: Client, request: BuildRequest) -> None:
    plan, prefix, builder = request.plan, request.prefix, engine.builder
    assert isinstance(plan, Plan)
    bases: list[Base] | None = None
    rest = plan if prefix is None else prefix.rest
    try:
        if isinstance(builder, AutoBuilder) and prefix is not None:
            bases = builder.standing(prefix, request, _silent, threading.Event())
            found.below, found.below_last = _kept(prefix, bases), len(prefix.plan.titles) - 1
        direct = builder.direct if isinstance(builder, AutoBuilder) else builder
        assert isinstance(direct, DirectBuilder)
        ground = bases or direct.bases(request, _silent, threading.Event())
    except ImageBuilderError as error:
        found.platforms = [PlatformForecast(one, unknown=error.message) for one in request.platforms]
        return
    target = found.item.reference if found.item.image.registry else None
    for platform, base in zip(request.platforms, ground, strict=True):
        told = PlatformForecast(platform)
        found.platforms.append(told)
        if bases or prefix is None:
            _base(told, client, base, target)
        else:
            told.uploaded += Amount(unknown=1)
        told.uploaded += _sources(rest)
        try:
            if any(isinstance(op, InstallPackages) for op in _file_ops(rest)):
                packages = direct.forecast(base, rest, request, platform)
                _packages(told, packages, client, target)
        except NotDirectError:
            raise
        except ImageBuilderError as error:
            told.unknown = error.message


def _silent(_event: BuildEvent) -> None:
    """What is read to foretell a build is no step of it."""


def _kept(prefix: Prefix, bases: list[Base] | None) -> str:
    if bases is None:
        return "runs"
    return "here" if bases[0].reference is None else str(prefix.reference)


def _base(told: PlatformForecast, client: Client, base: Base, target: Reference | None) -> None:
    for blob in base.manifest.layers:
        if target is None:
            continue
        if _has(client, target, blob):
            told.base_there += blob.size
        elif base.reference is not None and base.reference.registry == target.registry:
            told.base_mounted += blob.size
        else:
            told.uploaded += Amount(blob.size)


def _has(client: Client, target: Reference, blob: Descriptor) -> bool:
    try:
        return client.has_blob(target, blob.digest)
    except ImageBuilderError:
        return False


def _sources(plan: Plan) -> Amount:
    return Amount(sum(material.total_bytes for name, material in plan.materials.items() if name in _copied(plan)))


def _copied(plan: Plan) -> set[str]:
    """The user's files; the task SDK is no news for a registry that has an image with it."""
    from imagebuilder.plan.ops import Copy

    return {step.op.files for step in plan.steps if isinstance(step.op, Copy) and not step.op.sdk}


def _file_ops(plan: Plan) -> list[object]:
    return [op for step in plan.steps if isinstance(step.op, Exec) for op in step.op.files_only]


def _packages(told: PlatformForecast, packages: Forecast, client: Client, target: Reference | None) -> None:
    told.wheels = len(packages.files)
    told.built = [(str(one.package), one.package.layer, one.reason) for one in packages.built]
    if packages.layers is not None:
        for layer in packages.layers:
            if target is None or not _has(client, target, layer.descriptor):
                told.uploaded += Amount(layer.descriptor.size)
        return
    told.fetched = [file.name for file in packages.fetched]
    told.fetch = _amount([file.size for file in packages.fetched])
    told.uploaded += _amount([file.size for file in packages.files]) + Amount(unknown=len(packages.built))


def _amount(sizes: list[int | None]) -> Amount:
    return Amount(sum(size or 0 for size in sizes), sum(size is None for size in sizes))


def verdict_text(verdict: Verdict | None) -> tuple[str, str]:
    """`exists`, `absent`, `unknown` or `local`, and a sentence."""
    match verdict:
        case Present(digest):
            return "exists", digest
        case Absent():
            return "absent", "not there yet"
        case Unknown(reason):
            return "unknown", reason
        case None:
            return "local", "no registry is named: it would go to Docker, or to ./images"
