"""The layers of an image that stay as they are when it is put on another base."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imagebuilder.builders.direct.contents import chosen_for
from imagebuilder.builders.direct.ground import difference
from imagebuilder.errors import BuildError
from imagebuilder.layers import Layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagebuilder.builders.direct.assembly import Assembly
    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.python import Environments
    from imagebuilder.builders.direct.record import Laid, Python, Record
    from imagebuilder.plan.ops import Copy


class MisfitError(BuildError):
    """The layers of an image do not fit on another base."""


class Kept:
    """Takes an image's layers in their order, where a build on the new base would have made the same."""

    def __init__(self, image: Base, record: Record, environments: Environments) -> None:
        self._layers = _own_layers(image, record)
        self._laid = iter(record.laid)
        self._environments = environments
        self._at = 0
        self.taken = 0

    def copy(self, assembly: Assembly, op: Copy) -> Laid:
        """Files that were copied."""
        laid = self._keep(assembly, assembly.absolute(op.dst))
        if laid.python is None:
            return laid
        now = chosen_for(self._environments, assembly.facts, laid.place)
        _check_version("task SDK is", laid.python, now)
        return replace(laid, python=now)

    def folder(self, assembly: Assembly, path: str, owner: str, above: str) -> Laid:  # noqa: ARG002 - as it was made
        """A folder, where the base lacked it."""
        return self._keep(assembly, assembly.absolute(path))

    def install(self, assembly: Assembly, prefix: str) -> Laid:
        """Packages, where they would be chosen again."""
        laid = self._keep(assembly, "")
        now = chosen_for(self._environments, assembly.facts, prefix)
        if laid.python is None:
            raise MisfitError("its record does not say what its packages were chosen for")
        _check_python(laid.python, now)
        return replace(laid, python=now)

    def anew(self, assembly: Assembly, make: Callable[[], None]) -> Laid:
        """A virtual environment, or an account: it says what the base is, and is made again."""
        laid = self._next()
        self._at += laid.count
        self._stand(assembly, laid)
        first = len(assembly.layers)
        assembly.ground.look()
        make()
        return replace(laid, count=len(assembly.layers) - first, ours=assembly.ground.ours)

    def _keep(self, assembly: Assembly, place: str) -> Laid:
        laid = self._next()
        if laid.place != place:
            raise MisfitError(f"its files are at {laid.place}, and on the new base they would be at {place}")
        if (path := difference(laid.seen, assembly.facts)) is not None:
            raise MisfitError(f"/{path} of the new base is not what it was, and a layer of the image depends on it")
        self._stand(assembly, laid)
        for name, ids in laid.ids.items():
            if assembly.ids(name) != ids:
                now = ":".join(map(str, assembly.ids(name)))
                raise MisfitError(f"files of its user {name} are {ids[0]}:{ids[1]}'s, who is {now} on the new base")
        assembly.add(self._layers[self._at : self._at + laid.count])
        self._at += laid.count
        self.taken += laid.count
        return laid

    def _next(self) -> Laid:
        laid = next(self._laid, None)
        if laid is None:
            raise MisfitError("its record lacks some of its layers")
        return laid

    def _stand(self, assembly: Assembly, laid: Laid) -> None:
        """Let the ground be as it was for these layers, unless what was made again says otherwise."""
        path = assembly.ground.conflict(laid.ours)
        if path is not None:
            raise MisfitError(f"/{path} becomes another on the new base, and a layer of the image depends on it")
        for at, fact in laid.ours.items():
            assembly.ground.put(at, fact)


def _check_version(what: str, then: Python, now: Python) -> None:
    if then.version != now.version:
        was, found = (".".join(map(str, version)) for version in (then.version, now.version))
        raise MisfitError(f"its {what} for Python {was}, and the new base has Python {found}")


def _check_python(then: Python, now: Python) -> None:
    _check_version("packages are", then, now)
    (kind, *least), (found_kind, *found_version) = then.libc, now.libc
    if kind != found_kind or found_version < least:
        was, found = (f"{name} {major}.{minor}" for name, major, minor in (then.libc, now.libc))
        raise MisfitError(f"its packages were chosen for {was}, and the new base has {found}")
    if dict(then.present) != dict(now.present):
        raise MisfitError("the new base has other Python packages where the image installs its own")


def _own_layers(image: Base, record: Record) -> list[Layer]:
    """What the record's operations laid.

    Raises:
        MisfitError: the manifest, the config and the record do not fit each other.
    """
    diffs = _strings((image.config.get("rootfs") or {}).get("diff_ids"))
    history = [entry for entry in image.config.get("history") or [] if not entry.get("empty_layer")]
    layers = image.manifest.layers
    whole = record.below + sum(laid.count for laid in record.laid)
    if not len(layers) == len(diffs) == len(history) == whole:
        raise MisfitError("its layers are not those that its record tells of; another tool changed it")
    rows = zip(layers, diffs, history, strict=True)
    return [Layer(layer, diff, str(entry.get("created_by", ""))) for layer, diff, entry in rows][record.below :]


def _strings(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
