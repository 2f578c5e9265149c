"""When the results of a task are kept, and under which version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError

Behavior = Literal["auto", "override", "disable"]
_BEHAVIORS = ("auto", "override", "disable")


class VersionParameters(Value):
    """What a policy may look at: the task's function, its image and its name."""

    func: Callable[..., Any] | None = None
    image: Any = None
    name: str = ""


class CachePolicy(Protocol):
    """One part of a cache version."""

    def get_version(self, salt: str, params: VersionParameters) -> str:
        """A text that changes whenever kept results may no longer be used."""


class Cache(Value):
    """How results are kept.

    "auto" computes the version by `policies`; "override" takes `version_override`, and computes it where that is unset.
    `ignored_inputs` do not count; `serialize` lets identical calls at the same time run once.
    """

    behavior: Behavior = "auto"
    version_override: str | None = None
    serialize: bool = False
    ignored_inputs: tuple[str, ...] = ()
    salt: str = ""
    policies: tuple[CachePolicy, ...] | None = None

    def check(self) -> None:
        """Refuse behaviors that are none, and settings without a meaning under theirs."""
        if self.behavior not in _BEHAVIORS:
            raise TaskDefinitionError(
                f"cache: {self.behavior!r} is not a behavior", hint='write "auto", "override" or "disable"'
            )
        if self.version_override is not None and not isinstance(self.version_override, str):
            raise TaskDefinitionError(f"cache: the version {self.version_override!r} is not a text")
        ignored: object = self.ignored_inputs
        names = (ignored,) if isinstance(ignored, str) else tuple(self.ignored_inputs)
        if not all(isinstance(name, str) for name in names):
            raise TaskDefinitionError(
                f"cache: {ignored!r} are not names of inputs", hint='write ignored_inputs=("when",)'
            )
        self.__dict__["ignored_inputs"] = names
        if self.policies is not None:
            given: object = self.policies
            policies = given if isinstance(given, Sequence) else (given,)
            if not all(hasattr(policy, "get_version") for policy in policies):
                raise TaskDefinitionError(
                    "cache: a policy needs get_version(salt, params)", hint="write policies=[FunctionBodyPolicy()]"
                )
            self.__dict__["policies"] = tuple(policies)

    @property
    def enabled(self) -> bool:
        """Whether results are kept at all."""
        return self.behavior != "disable"


CacheRequest = Behavior | Cache


def cache_from(request: CacheRequest | None) -> Cache:
    """Accept a behavior's name or a cache; nothing is kept where nothing was asked for."""
    if isinstance(request, Cache):
        return request
    return Cache("disable" if request is None else request)
