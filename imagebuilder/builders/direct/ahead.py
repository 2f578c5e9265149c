"""Makes the layer of the task SDK beside the work on packages, on a machine where no image has had it yet."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.assembly import Assembly
from imagebuilder.layers.writer import SQUEEZED
from imagebuilder.plan.ops import Copy
from imagebuilder.sources.material import LaterMaterial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.builders.direct.work import Tools
    from imagebuilder.plan.ops import Plan


@contextmanager
def made_ahead(tools: Tools, base: Base, facts: BaseFacts, plan: Plan) -> Iterator[None]:
    """Begin what takes its time of a plan's files; whoever lays them finds the layer remembered, or waits for it.

    What goes wrong is told to whoever lays it, and nothing more is made after the end.
    """
    ended = Event()

    def check() -> None:
        tools.check()
        if ended.is_set():
            raise _EndedError

    def make(op: Copy, material: LaterMaterial) -> None:
        with suppress(Exception, KeyboardInterrupt):
            Assembly(base, facts, tools.store, check, tools.remembered).copy(op, material, SQUEEZED)

    for step in plan.steps:
        if isinstance(step.op, Copy):
            material = plan.materials.get(step.op.files)  # a rebase has none
            if isinstance(material, LaterMaterial):
                material.begin()
                if step.op.sdk and not tools.remembered.knows(material.digest, SQUEEZED):
                    Thread(target=make, args=(step.op, material), name="sdk").start()
    try:
        yield
    finally:
        ended.set()


class _EndedError(Exception):
    """Nobody wants it any more."""
