"""Kept results: under which key, and how one is looked up."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from tasksdk.errors import TaskDefinitionError
from tasksdk.literals import identity_of
from tasksdk.task.code_version import cache_version

if TYPE_CHECKING:
    from tasksdk.literals import Literals
    from tasksdk.task.base import Task
    from tasksdk.values.cache import Cache


class CacheKeys:
    """Computes keys; a task's version is computed once, as its code does not change while the process lives."""

    def __init__(self) -> None:
        self._prefixes: dict[int, tuple[Task, bytes]] = {}

    def key(self, task: Task, cache: Cache, literals: Literals) -> bytes:
        """The key of a call: the task, its version, its interface, and the inputs that count."""
        known = self._prefixes.get(id(task))
        if known is None or known[0] is not task:
            known = self._prefixes[id(task)] = (task, _prefix(task, cache))
        digest = blake2b(known[1], digest_size=24)
        for name in sorted(literals):
            if name not in cache.ignored_inputs:
                identity = identity_of(literals[name])
                digest.update(b"%d:%s%d:" % (len(name), name.encode(), len(identity)))
                digest.update(identity)
        return digest.digest()


def _prefix(task: Task, cache: Cache) -> bytes:
    unknown = set(cache.ignored_inputs) - task.native_interface.inputs.keys()
    if unknown:
        raise TaskDefinitionError(
            f"task {task.name}: cache ignores {', '.join(sorted(unknown))}, which is no input of it"
        )
    interface = task.native_interface
    kinds = [f"{name}:{kind!r}" for names in (interface.inputs, interface.outputs) for name, kind in names.items()]
    parts = [task.name, cache_version(task, cache), *sorted(kinds)]
    return b"".join(b"%d:%s" % (len(part.encode()), part.encode()) for part in parts)
