"""Mirrors are asked before the registry, and prove nothing by what they lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from imagebuilder.errors import RegistryError
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagebuilder.registry.clock import Clock
    from imagebuilder.registry.settings import RegistrySettings

T = TypeVar("T")
# A mirror that does not answer is passed over for so long, lest every question waits for it.
_DOWN_SECONDS = 30.0


class Mirrors:
    """Asks mirrors in their order, then the registry itself."""

    def __init__(self, settings: RegistrySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._down: dict[str, float] = {}

    def ask(self, ref: Reference, question: Callable[[Reference, int | None], T | None]) -> T | None:
        """The first answer that a mirror has, else whatever the registry itself answers or raises.

        The question is told where to ask and how often to try; None leaves that to the settings.
        """
        for mirror in self._settings.host(ref.registry).mirrors:
            if self._down and self._clock.monotonic() < self._down.get(mirror, 0.0):
                continue
            try:
                found = question(at_mirror(ref, mirror), 1)
            except RegistryError as error:  # one that is down or denies proves nothing: the next is asked
                if error.status is None:
                    self._down[mirror] = self._clock.monotonic() + _DOWN_SECONDS
                continue
            if found is not None:
                return found
        return question(ref, None)


def at_mirror(ref: Reference, mirror: str) -> Reference:
    """The same image at `host[:port][/prefix]`."""
    host, _, prefix = mirror.strip("/").partition("/")
    repository = f"{prefix}/{ref.repository}" if prefix else ref.repository
    return Reference(host, repository, ref.tag, ref.digest)
