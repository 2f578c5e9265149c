"""Which wheels share a layer.

Big ones stand alone, so that an upgrade moves only that package, and layers are built and pulled side by side. The
rest goes into a few buckets by a hash of the *name*: an upgrade or a new package rewrites one bucket, whatever else
is installed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BIG: Final = 2 << 20  # bytes
MOST_ALONE: Final = 40
BUCKETS: Final = 8  # a constant: more or fewer with the number of wheels would move them all
LAYER_LIMIT: Final = 127  # overlayfs and Docker's own limit, the base's layers counted in


class Sized(NamedTuple):
    """A wheel to pack: its normalized name and its size in bytes."""

    name: str
    size: int


def pack(
    wheels: Iterable[Sized], *, together: Iterable[Sequence[str]] = (), budget: int = LAYER_LIMIT
) -> list[tuple[str, ...]]:
    """The names in each layer, largest layers' wheels first, then the buckets; each layer in the order of names.

    `together` are groups that must share a layer; `budget` is how many layers there may be at most. The same wheels
    in any order give the same layers.
    """
    sizes = dict(wheels)
    group = _groups(sizes, together)
    total: dict[str, int] = {}
    for name, leader in group.items():
        total[leader] = total.get(leader, 0) + sizes[name]
    budget = max(budget, 1)
    buckets = min(BUCKETS, budget)
    largest = sorted((leader for leader in total if total[leader] >= BIG), key=lambda name: (-total[name], name))
    alone = largest[: most_alone(budget)]
    members: dict[str, list[str]] = {}
    for name, leader in sorted(group.items()):
        members.setdefault(leader, []).append(name)
    layers = [tuple(members.pop(leader)) for leader in alone]
    rest: dict[int, list[str]] = {}
    for leader, names in members.items():
        rest.setdefault(_bucket(leader, buckets), []).extend(names)
    return layers + [tuple(sorted(rest[number])) for number in sorted(rest)]


def most_alone(budget: int) -> int:
    """How many layers at most hold one big wheel; with a small budget buckets come first, which can hold everything."""
    return min(MOST_ALONE, max(budget, 1) - min(BUCKETS, max(budget, 1)))


def _groups(sizes: dict[str, int], together: Iterable[Sequence[str]]) -> dict[str, str]:
    """Each name's group, by the first name in it."""
    leader = {name: name for name in sizes}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for names in together:
        roots = sorted({find(name) for name in names})
        for root in roots[1:]:
            leader[root] = roots[0]
    return {name: find(name) for name in sizes}


def _bucket(name: str, buckets: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % buckets
