"""Collaborators put together: how an image is made, and how it is divided."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imagebuilder.builders.events import Emit
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.builders.port import Builder, Prefix
from imagebuilder.builders.site import Site
from imagebuilder.engine.ensuring import Ensuring
from imagebuilder.engine.result import Options, Result
from imagebuilder.identity.identified import Identified
from imagebuilder.identity.identifier import identify
from imagebuilder.identity.inputs import steps_of
from imagebuilder.outputs.output import Output, Push
from imagebuilder.plan.lower import lower, needs_base_user
from imagebuilder.plan.ops import DockerfilePlan, Plan
from imagebuilder.plan.pinned import pinned, pinned_base
from imagebuilder.plan.sdk import is_sdk, sdk_of
from imagebuilder.plan.segments import segments
from imagebuilder.spec.base import DebianBase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from imagebuilder.bases import BaseUsers
    from imagebuilder.identity.resolver import Resolver
    from imagebuilder.plan.sdk import SdkFor
    from imagebuilder.sources.material import Material
    from imagebuilder.spec.image import Image
    from imagebuilder.vault import Vault


@dataclass(frozen=True)
class Engine:
    """Collaborators put together; `imagebuilder.config.load` makes one from the user's configuration."""

    resolver: Resolver
    builder: Builder
    vault: Vault
    bases: BaseUsers
    sdks: Callable[[SdkFor], Material]
    site: Site = field(default_factory=Site)
    cache: Callable[[], AbstractContextManager[None]] = nullcontext  # held while images are made and published

    def plan(self, item: Identified) -> Plan | DockerfilePlan:
        """Decide how an image is made; asks its base's registry only where the base's user must be known."""
        user = ""
        if item.base_reference is not None and needs_base_user(item.image):
            reference = pinned_base(item.base_reference, item.pins) if item.pins else item.base_reference
            user = self.bases.user(reference, item.image.platforms[0])
        wanted = sdk_of(item.image, item.materials)
        if wanted is not None and item.pins is not None:
            wanted = wanted._replace(bytecode=item.pins.bytecode, digest=item.pins.sdk)
        sdk = self.sdks(wanted) if wanted is not None else None
        plan = lower(item.image, item.identity, item.materials, self.resolver.recipe, user, sdk)
        return plan if item.pins is None or isinstance(plan, DockerfilePlan) else pinned(plan, item.pins)

    def prefix(
        self,
        item: Identified,
        plan: Plan | DockerfilePlan,
        output: Output,
        refused: Mapping[int, str] | None = None,
    ) -> Prefix | None:
        """How an image divides into layers that must run, as an image of its own, and files on top of it.

        `refused` are layers that must be in the former, with the reason, although they look like files.
        """
        found = segments(plan, refused)
        if found is None or isinstance(plan, DockerfilePlan) or not 0 < found.prefix < len(item.image.layers):
            return None
        first, rest = self._divided(item, plan, found.prefix)
        below = self.plan(first)
        assert isinstance(below, Plan)
        identifier = first.identity.identifier
        kept = item.reference.with_tag(identifier) if isinstance(output, Push) else None
        return Prefix(identifier, below, rest, kept, push=isinstance(output, Push) and output.fills)

    def below(self, item: Identified, layer: int) -> Prefix | None:
        """The layers before one, as an image of its own; None where nothing of them runs.

        It is what a build makes first, where that build assembles the layer.
        """
        plan = self.plan(item)
        found = segments(plan)
        layers = min(found.prefix, layer - 1) if found else 0
        if layers < 1 or isinstance(plan, DockerfilePlan):
            return None
        first, rest = self._divided(item, plan, layers)
        below = self.plan(first)
        runs = segments(below)
        if runs is None or not runs.prefix or isinstance(below, DockerfilePlan):
            return None
        identifier = first.identity.identifier
        kept = item.reference.with_tag(identifier) if item.image.registry else None
        return Prefix(identifier, below, rest, kept, push=False)

    def _divided(self, item: Identified, plan: Plan, layers: int) -> tuple[Identified, Plan]:
        """An image of the first layers alone, and the steps of a plan that come after them."""
        last = max(number for number, step in enumerate(plan.steps) if 0 < step.layer <= layers)
        first, rest = plan.steps[: last + 1], plan.steps[last + 1 :]
        image = item.image.replace(layers=item.image.layers[:layers])
        if isinstance(image.base, DebianBase) and not any(is_sdk(step) for step in first):
            image = image.replace(base=image.base.replace(sdk=None))  # it goes on top, the same layer as elsewhere
        materials = replace(item.materials, layers=item.materials.layers[:layers])
        pins = None
        if item.pins:
            pins = item.pins.first(steps_of(image), sdk=sdk_of(image, materials) is not None)
        identity = identify(image, materials, self.resolver.recipe, pins.digest if pins else None)
        return Identified(item.title, image, identity, materials, pins), replace(plan, steps=rest)

    def ensure(
        self,
        images: Sequence[tuple[str, Image]],
        output: Output,
        options: Options | None = None,
        emit: Emit = lambda _event: None,
        cancel: threading.Event | None = None,
    ) -> list[Result]:
        """Make every image be where `output` puts it: build what is missing, verify what was published.

        Raises:
            ImageBuilderError: the first failure; builds that were running are cancelled.
        """
        options, cancel = options or Options(), cancel or threading.Event()
        items = self.resolver.identify(images)
        for item in items:
            if item.stale:
                emit(BuildWarning(item.title, f"its lock is stale and is not used: {'; '.join(item.stale)}"))
        verdicts = output.check(items)
        work = Ensuring(self, output, options, emit, cancel)
        for item, verdict in zip(items, verdicts, strict=True):
            work.consider(item, verdict)
        return work.run()
