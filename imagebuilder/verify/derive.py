"""Derives an image anew and compares it with the one that was pushed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.base import RemoteStore
from imagebuilder.engine import Options
from imagebuilder.outputs.output import Published, Push
from imagebuilder.registry.verdict import Absent
from imagebuilder.verify.compare import Side, compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import Built
    from imagebuilder.engine import Engine
    from imagebuilder.identity.identified import Identified
    from imagebuilder.outputs.output import Moved
    from imagebuilder.registry import Client, Manifest
    from imagebuilder.registry.verdict import Verdict
    from imagebuilder.spec.image import Image
    from imagebuilder.spec.reference import Reference


@dataclass(frozen=True)
class Derived:
    """What came of it: the digest of the pushed image and of the derived one, and line by line what differs."""

    digest: str
    derived: str
    differences: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether they are one image, bit for bit."""
        return self.digest == self.derived


def derive(engine: Engine, client: Client, named: tuple[str, Image], reference: Reference, *, emit: Emit) -> Derived:
    """Build an image as if it were nowhere, push nothing, and compare it with the one at a reference.

    Layers that must run are taken from where builds keep them, if they are there: they are not made to be repeated.

    Raises:
        ImageBuilderError: it could not be built, or its registry not be read.
    """
    pushed = client.manifest(reference)
    output = Comparison(client, reference, pushed)
    engine.ensure([named], output, Options(force=True), emit)
    assert output.result is not None
    return output.result


class Comparison(Push):
    """A registry that nothing is pushed to: what would be is compared with what is there."""

    fills = False

    def __init__(self, client: Client, reference: Reference, pushed: Manifest) -> None:
        super().__init__(client)
        self._reference = reference
        self._pushed = pushed
        self.result: Derived | None = None

    def check(self, items: Sequence[Identified]) -> list[Verdict]:
        """Nothing counts as there."""
        return [Absent(f"{item.uri} is derived anew") for item in items]

    def publish(self, item: Identified, built: Built, moved: Moved) -> Published:  # noqa: ARG002
        """Compare, while what was built is there."""
        differences = [] if built.root.digest == self._pushed.digest else self._differences(built)
        self.result = Derived(self._pushed.digest, built.root.digest, differences)
        return Published(built.root.digest, tuple(map(str, item.image.platforms)))

    def _differences(self, built: Built) -> list[str]:
        root = Side.of(built.store, built.root)
        if self._pushed.is_index != root.manifest.is_index:
            return ["one of them is an index of several platforms, the other is not"]
        if not root.manifest.is_index:
            return compare(Side(self._pushed, RemoteStore(self.client, self._reference, self._pushed.blobs)), root)
        there = {child.platform: child for child in self._pushed.images}
        lines = []
        for child in root.manifest.images:
            known = there.get(child.platform)
            if known is None:
                lines.append(f"{child.platform}: the pushed image does not have it")
                continue
            at = self._reference.with_digest(known.digest)
            manifest = self.client.manifest(at)
            side = Side(manifest, RemoteStore(self.client, at, manifest.blobs))
            lines += [f"{child.platform}: {line}" for line in compare(side, Side.of(built.store, child))]
        return lines or ["index: its form differs, the images it lists are the same"]
