"""A registry as an output of builds that share blobs with each other and with copies: `SharedPush`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.outputs.output import Moved, Published, Push
from imagebuilder.registry import Client, Copier, PushEvent, verify_pushed
from imagebuilder.spec.reference import DOCKER_HUB, Reference

if TYPE_CHECKING:
    from imagebuilder.builders.port import Built
    from imagebuilder.identity.identified import Identified


class SharedPush(Push):
    """Pushes through a copier, so that a layer that several images have is moved to a registry once.

    `mounted` counts the blobs that were mounted, by the image's reference.
    """

    def __init__(self, client: Client, copier: Copier) -> None:
        super().__init__(client)
        self.copier = copier
        self.mounted: dict[Reference, int] = {}

    def publish(self, item: Identified, built: Built, moved: Moved) -> Published:
        """Push, then read the manifest back and compare its digest and platforms."""
        reference = item.reference
        sent: dict[str, tuple[int, int]] = {}

        def on_event(event: PushEvent) -> None:
            if event.state in ("uploading", "uploaded"):
                sent[event.digest] = (event.size if event.state == "uploaded" else event.sent, event.size)
                now, total = map(sum, zip(*sent.values(), strict=True))
                moved(f"push {reference}", now, total)

        pushing = self.copier.push(
            built.store,
            built.root,
            reference,
            mount_from=_base(item, reference),
            held_by=built.held_by,
            on_event=on_event,
        )
        pushed = pushing.result()
        self.mounted[reference] = len(pushed.mounted)
        present = verify_pushed(self.client, reference, pushed.digest, item.image.platforms)
        return Published(present.digest, tuple(map(str, present.platforms)), pushed.bytes_moved)


def _base(item: Identified, target: Reference) -> tuple[str, ...]:
    """The base's repository, where it is in the same registry."""
    base = Reference.parse(item.base_reference) if item.base_reference else None
    same = base is not None and base.registry == target.registry != DOCKER_HUB
    return (base.repository,) if same and base is not None else ()
