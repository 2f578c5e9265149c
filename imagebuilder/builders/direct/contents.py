"""Where the layers of an image's files come from: `Made` makes them, a rebase keeps those that are there."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from imagebuilder.builders.direct.record import Laid, Python
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.layers.writer import PINNED, SQUEEZED

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagebuilder.builders.direct.assembly import Assembly
    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.builders.direct.python import Environments
    from imagebuilder.builders.direct.work import Tools
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.plan.ops import Copy, Plan
    from imagebuilder.spec.platform import Platform


class Contents(Protocol):
    """Puts layers of files on an assembly; each call says what it laid."""

    def copy(self, assembly: Assembly, op: Copy) -> Laid:
        """Files of the user's."""

    def folder(self, assembly: Assembly, path: str, owner: str, above: str) -> Laid:
        """A folder for a user, where missing; new folders above it belong to `above`."""

    def install(self, assembly: Assembly, prefix: str) -> Laid:
        """All Python packages."""

    def anew(self, assembly: Assembly, make: Callable[[], None]) -> Laid:
        """What depends on the base itself, and is so small that it is made for each."""


class Made:
    """Layers out of a request's materials and packages."""

    def __init__(self, tools: Tools, base: Base, *, plan: Plan, request: BuildRequest, platform: Platform) -> None:
        self._tools = tools
        self._base = base
        self._plan = plan
        self._request = request
        self._platform = platform

    def copy(self, assembly: Assembly, op: Copy) -> Laid:
        """Out of a material; the task SDK is for one Python, as packages are."""
        codec = SQUEEZED if op.sdk else PINNED
        make = partial(assembly.copy, op, self._plan.materials[op.files], codec)
        laid = _laid(assembly, make, assembly.absolute(op.dst))
        if not op.sdk:
            return laid
        return replace(laid, python=chosen_for(self._tools.environments, assembly.facts, op.dst))

    def folder(self, assembly: Assembly, path: str, owner: str, above: str) -> Laid:
        """As the assembly makes it."""

        def make() -> None:
            if not assembly.has_folder(assembly.absolute(path)):
                assembly.make_folder(path, _ids(assembly, owner), _ids(assembly, above))

        return _laid(assembly, make, assembly.absolute(path))

    def install(self, assembly: Assembly, prefix: str) -> Laid:
        """Resolved, fetched and spliced."""
        tools = self._tools
        made = tools.environments.install(
            self._plan,
            self._request,
            assembly.facts,
            platform=self._platform,
            room=len(self._base.manifest.layers) + len(self._plan.steps) + 1,
            emit=tools.emit,
            check=tools.check,
            sdists=tools.sdists(self._base, self._plan, self._platform),
        )
        assembly.add(made.layers)
        assembly.shared.update(made.shared)
        for message in made.warnings:
            tools.emit(Warning(self._request.name, message))
        return Laid(len(made.layers), python=chosen_for(tools.environments, assembly.facts, prefix))

    def anew(self, assembly: Assembly, make: Callable[[], None]) -> Laid:
        """Once."""
        laid = _laid(assembly, make)
        return Laid(laid.count, ours=laid.ours)


def chosen_for(environments: Environments, facts: BaseFacts, prefix: str) -> Python:
    """What packages for a base are chosen for."""
    target, _ = environments.install_target(facts, prefix)
    major, minor = facts.glibc or facts.musl or (0, 0)
    libc = "musl" if facts.glibc is None else "glibc"
    present = facts.installed(f"{target.prefix}/{target.site_packages}")
    return Python(target.python, (libc, major, minor), present)


def _ids(assembly: Assembly, user: str) -> tuple[int, int]:
    return (0, 0) if user == "root" else assembly.ids(user)


def _laid(assembly: Assembly, make: Callable[[], None], place: str = "") -> Laid:
    first, ground = len(assembly.layers), assembly.ground
    ground.look()
    assembly.asked = {}
    make()
    return Laid(len(assembly.layers) - first, place, ground.seen, ground.ours, assembly.asked)
