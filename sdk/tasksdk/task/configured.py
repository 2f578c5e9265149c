"""The settings of a task, under the names of both APIs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tasksdk.errors import TaskDefinitionError
from tasksdk.task.metadata import TaskMetadata
from tasksdk.values.cache import Cache, cache_from
from tasksdk.values.resources import Resources
from tasksdk.values.retry import RetryStrategy, retry_strategy
from tasksdk.values.settings import DEFAULT_MAX_INLINE_IO_BYTES, TaskSettings
from tasksdk.values.timeout import Timeout, timeout_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flyteidl2.core.security_pb2 import SecurityContext

    from imagebuilder.spec.secret import Secret
    from tasksdk.values.documentation import Documentation
    from tasksdk.values.pod import PodTemplate
    from tasksdk.values.reuse import ReusePolicy

Self = TypeVar("Self", bound="Configured")
_FIXED = ("name", "image", "docs", "interface")


class Configured:
    """Reads one `TaskSettings`; environment is env_vars, metadata is cache, retries and timeout."""

    name: str
    settings: TaskSettings

    @property
    def short_name(self) -> str:
        """The name for people: by default the last part of the full one."""
        return self.settings.short_name or self.name.rpartition(".")[2]

    @property
    def image(self) -> Any:
        """A reference, an `Image`, or "auto"."""
        return "auto" if self.settings.image is None else self.settings.image

    @property
    def resources(self) -> Resources:
        """What the task needs of its machine."""
        return self.settings.resources or Resources()

    @property
    def cache(self) -> Cache:
        """How results are kept."""
        return cache_from(self.settings.cache)

    @property
    def retries(self) -> RetryStrategy:
        """How often it is tried again."""
        return retry_strategy(self.settings.retries)

    @property
    def timeout(self) -> Timeout:
        """How long it may run and wait."""
        return timeout_from(self.settings.timeout)

    @property
    def reusable(self) -> ReusePolicy | None:
        """Whether its process outlives a call."""
        policy = self.settings.reusable
        return None if policy is None or isinstance(policy, str) else policy

    @property
    def env_vars(self) -> Mapping[str, str]:
        """The variables that it sees."""
        return self.settings.env_vars or {}

    @property
    def environment(self) -> Mapping[str, str]:
        """The same as `env_vars`."""
        return self.env_vars

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that it sees."""
        return self.settings.all_secrets

    @property
    def security_context(self) -> SecurityContext | None:
        """The secrets as a template carries them."""
        from tasksdk.task.security import security_message

        return security_message(self.secrets)

    @property
    def max_inline_io_bytes(self) -> int:
        """The most bytes that inputs and outputs may have, files aside."""
        size = self.settings.max_inline_io_bytes
        return DEFAULT_MAX_INLINE_IO_BYTES if size is None else size

    @property
    def pod_template(self) -> PodTemplate | str | None:
        """Settings of its pod, or the name of a template in the cluster."""
        return self.settings.pod_template

    @property
    def queue(self) -> str | None:
        """The queue it waits in."""
        return self.settings.queue

    @property
    def interruptible(self) -> bool | None:
        """Whether its machine may be taken away."""
        return self.settings.interruptible

    @property
    def report(self) -> bool:
        """Whether its page is kept."""
        return bool(self.settings.report)

    @property
    def docs(self) -> Documentation | None:
        """Words for people."""
        return self.settings.docs

    @property
    def metadata(self) -> TaskMetadata:
        """Cache, retries, timeout and flags in the older spelling."""
        cache, settings = self.cache, self.settings
        runtime = self.timeout.runtime_seconds
        return TaskMetadata(
            cache=cache.enabled,
            cache_serialize=cache.serialize,
            cache_version=cache.version_override or ("auto" if cache.enabled else ""),
            cache_ignore_input_vars=cache.ignored_inputs,
            interruptible=settings.interruptible,
            deprecated=settings.deprecated or "",
            retries=self.retries.count,
            timeout=None if runtime is None else timedelta(seconds=runtime),
            pod_template_name=settings.pod_template if isinstance(settings.pod_template, str) else None,
            generates_deck=self.report,
            is_eager=bool(settings.eager),
        )

    def override(  # noqa: PYI019 - typing has no Self in Python 3.10
        self: Self,
        *,
        short_name: str | None = None,
        resources: Resources | None = None,
        cache: Any = None,
        retries: int | RetryStrategy | None = None,
        timeout: Any = None,
        reusable: ReusePolicy | Literal["off"] | None = None,
        env_vars: Mapping[str, str] | None = None,
        secrets: Any = None,
        max_inline_io_bytes: int | None = None,
        pod_template: PodTemplate | str | None = None,
        queue: str | None = None,
        interruptible: bool | None = None,
        **kwargs: Any,
    ) -> Self:
        """A new task with these settings in place of its own; None leaves one as it is.

        Raises:
            TaskDefinitionError: a setting that is fixed (name, image, docs, interface) or that there is none of.
        """
        for fixed in _FIXED:
            if fixed in kwargs:
                raise TaskDefinitionError(
                    f"task {self.name}: its {fixed} cannot be overridden", hint="define another task"
                )
        changes: dict[str, Any] = {
            "short_name": short_name,
            "resources": resources,
            "cache": cache,
            "retries": retries,
            "timeout": timeout,
            "reusable": reusable,
            "env_vars": env_vars,
            "secrets": secrets,
            "max_inline_io_bytes": max_inline_io_bytes,
            "pod_template": pod_template,
            "queue": queue,
            "interruptible": interruptible,
            **kwargs,
        }
        unknown = changes.keys() - set(TaskSettings.fields)
        if unknown:
            raise TaskDefinitionError(f"task {self.name}: there is no setting {', '.join(sorted(unknown))}")
        changed = {name: value for name, value in changes.items() if value is not None}
        return self.with_settings(self.settings.replace(**changed))

    def with_settings(self: Self, settings: TaskSettings) -> Self:  # noqa: PYI019 - as above
        """A new task with these settings in place of all of its own."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.settings = settings
        new.__dict__["_overridden"] = self
        return new


def settings_from(kwargs: dict[str, Any], where: str) -> TaskSettings:
    """The settings among keyword arguments; the older names are understood.

    Raises:
        TaskDefinitionError: a keyword that is no setting.
    """
    if "environment" in kwargs:
        kwargs["env_vars"] = kwargs.pop("environment") or kwargs.get("env_vars")
    unknown = kwargs.keys() - set(TaskSettings.fields)
    if unknown:
        known = ", ".join(TaskSettings.fields)
        raise TaskDefinitionError(
            f"{where}: there is no setting {', '.join(sorted(unknown))}", hint=f"there are: {known}"
        )
    return TaskSettings(**kwargs)
