"""The settings that a task and its environment share; unset means inherited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from imagebuilder.spec.secret import Secret, SecretRequest, secrets_from
from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError
from tasksdk.values.cache import CacheRequest, cache_from
from tasksdk.values.documentation import Documentation
from tasksdk.values.pod import PodTemplate
from tasksdk.values.resources import Resources
from tasksdk.values.retry import RetryStrategy, retry_strategy
from tasksdk.values.reuse import ReusePolicy
from tasksdk.values.timeout import TimeoutType, timeout_from

DEFAULT_MAX_INLINE_IO_BYTES = 10 * 1024 * 1024


class TaskSettings(Value):
    """What may be said about a task beside its code; None is unset."""

    short_name: str | None = None
    image: Any = None
    resources: Resources | None = None
    cache: CacheRequest | None = None
    retries: int | RetryStrategy | None = None
    timeout: TimeoutType | None = None
    reusable: ReusePolicy | Literal["off"] | None = None
    env_vars: Mapping[str, str] | None = None
    secrets: SecretRequest | None = None
    max_inline_io_bytes: int | None = None
    pod_template: PodTemplate | str | None = None
    queue: str | None = None
    interruptible: bool | None = None
    report: bool | None = None
    docs: Documentation | None = None
    plugin_config: Any = None
    deprecated: str | None = None
    eager: bool | None = None

    def check(self) -> None:
        """Refuse what cannot mean anything, at the line that writes it."""
        _expect(self.resources, Resources, "resources", 'Resources(cpu=1, memory="1Gi")')
        _expect(self.docs, Documentation, "docs", 'Documentation("One line")')
        _expect(self.pod_template, (PodTemplate, str), "pod_template", 'PodTemplate(...) or "name"')
        _expect(self.queue, str, "queue", 'queue="fast"')
        _expect(self.short_name, str, "short_name", 'short_name="fetch"')
        for name in ("interruptible", "report"):
            _expect(getattr(self, name), bool, name, f"{name}=True")
        if self.cache is not None:
            cache_from(self.cache)
        if self.retries is not None:
            retry_strategy(self.retries)
        if self.timeout is not None:
            timeout_from(self.timeout)
        if not (self.reusable is None or self.reusable == "off" or isinstance(self.reusable, ReusePolicy)):
            raise TaskDefinitionError(
                f"reusable: {self.reusable!r} is no policy", hint='write ReusePolicy(...) or "off"'
            )
        if self.env_vars is not None:
            self.__dict__["env_vars"] = _variables(self.env_vars)
        if self.secrets is not None:
            self.__dict__["secrets"] = secrets_from(self.secrets, "secrets")
        size: object = self.max_inline_io_bytes
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
            raise TaskDefinitionError(f"max_inline_io_bytes: {size!r} is not a number of bytes")
        _check_image(self.image)

    def __hash__(self) -> int:
        return hash((self.short_name, repr(self.image)))

    def over(self, inherited: TaskSettings) -> TaskSettings:
        """These settings, and the inherited ones where these are unset; variables and secrets add up."""
        merged = {name: mine if mine is not None else inherited.__dict__[name] for name, mine in self.__dict__.items()}
        if self.env_vars is not None and inherited.env_vars is not None:
            merged["env_vars"] = {**inherited.env_vars, **self.env_vars}
        if self.secrets is not None and inherited.secrets is not None:
            merged["secrets"] = _add_secrets(self.all_secrets, inherited.all_secrets)
        return TaskSettings(**merged)

    @property
    def all_secrets(self) -> tuple[Secret, ...]:
        """The secrets, whichever way they were written."""
        return () if self.secrets is None else secrets_from(self.secrets, "secrets")


def _add_secrets(mine: tuple[Secret, ...], inherited: tuple[Secret, ...]) -> tuple[Secret, ...]:
    variables, mounts = {s.variable for s in mine} - {None}, {s.mount for s in mine} - {None}
    return (*(s for s in inherited if s.variable not in variables and s.mount not in mounts), *mine)


def _expect(value: object, kind: type | tuple[type, ...], name: str, example: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise TaskDefinitionError(f"{name}: {value!r} cannot be one", hint=f"write {example}")


def _variables(env_vars: object) -> dict[str, str]:
    if not isinstance(env_vars, Mapping):
        raise TaskDefinitionError(f"env_vars: {env_vars!r} are no variables", hint='write env_vars={"MODE": "fast"}')
    for name, value in env_vars.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise TaskDefinitionError(f"env_vars: {name!r} is not the name of a variable")
        if not isinstance(value, str) or "\0" in value:
            raise TaskDefinitionError(f"env_vars: the value of {name} is not a text", hint=f'write {{"{name}": "..."}}')
    return dict(env_vars)


def _check_image(image: object) -> None:
    if image is None or (isinstance(image, str) and image.strip()):
        return
    # Asked of the class: an image reads its files to tell its identifier.
    if not hasattr(type(image), "identifier"):
        raise TaskDefinitionError(f"image: {image!r} is no image", hint='write a reference, an Image or "auto"')
