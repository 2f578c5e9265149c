"""The builder port: a plan in, an image by its digest out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from imagebuilder.builders.site import Site

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from imagebuilder.builders.events import Emit
    from imagebuilder.lock.pins import Pins
    from imagebuilder.plan.ops import DockerfilePlan, Plan
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.store import ContentStore
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference


@dataclass(frozen=True)
class Prefix:
    """The layers of an image up to the last that must run, as an image of its own, and the steps after it.

    `reference` is where it is kept for other machines, None where images do not go to a registry; with `push` it is
    put there.
    """

    identifier: str
    plan: Plan
    rest: Plan
    reference: Reference | None = None
    push: bool = True


@dataclass(frozen=True)
class BuildRequest:
    """Everything a builder needs to make one image; `secrets` are values by the id of their mount.

    `prefix` is how a builder that assembles files may divide it, and `divide` how, with layers that must run as well,
    each with the reason; `pins` is what its lock fixes. `registry` is the one that the image goes to, None where it
    goes elsewhere, or to several. `made` is told, from several threads, of layers that the image will have, with what
    holds them, as soon as they are made; a builder may leave it alone.
    """

    name: str
    plan: Plan | DockerfilePlan
    platforms: tuple[Platform, ...]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    site: Site = field(default_factory=Site)
    no_cache: bool = False
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    prefix: Prefix | None = None
    divide: Callable[[Mapping[int, str]], Prefix | None] | None = field(default=None, repr=False, compare=False)
    pins: Pins | None = field(default=None, repr=False)
    registry: str | None = None
    made: Callable[[ContentStore, Descriptor], None] | None = field(default=None, repr=False, compare=False)

    def for_prefix(self) -> BuildRequest:
        """The request for the part that must run alone."""
        assert self.prefix is not None
        return replace(self, plan=self.prefix.plan, prefix=None, divide=None, made=None)


@dataclass(frozen=True)
class Built:
    """An image that was made: what holds its blobs, and its root descriptor.

    `held_by` names repositories of the registry that it goes to, by the digest of the blob that each of them has.
    """

    store: ContentStore
    root: Descriptor
    held_by: Mapping[str, str] = field(default_factory=dict)


class Builder(Protocol):
    """Makes images."""

    def build(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """Make one image; a set `cancel` ends it soon, and leaves nothing running.

        Raises:
            BuildError: a step failed.
            BuilderUnavailableError: nothing that can build answers.
            SourceChangedError: a file is no longer what was identified.
        """
        ...
