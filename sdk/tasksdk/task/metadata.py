"""The older API's record of cache, retries and timeout: another spelling of the same settings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError
from tasksdk.values.cache import Cache
from tasksdk.values.retry import RetryStrategy
from tasksdk.values.timeout import Timeout

if TYPE_CHECKING:
    from flyteidl2.core.tasks_pb2 import TaskMetadata as TaskMetadataMessage


class TaskMetadata(Value):
    """Cache, retries, timeout and the flags of a task; `timeout` in seconds or as a timedelta."""

    cache: bool = False
    cache_serialize: bool = False
    cache_version: str = ""
    cache_ignore_input_vars: tuple[str, ...] = ()
    interruptible: bool | None = None
    deprecated: str = ""
    retries: int = 0
    timeout: timedelta | int | None = None
    pod_template_name: str | None = None
    generates_deck: bool = False
    is_eager: bool = False

    def check(self) -> None:
        """Refuse caching settings that contradict each other; seconds become a timedelta."""
        if self.timeout is not None and not isinstance(self.timeout, timedelta):
            _ = Timeout(self.timeout)
            self.__dict__["timeout"] = timedelta(seconds=self.timeout)
        self.__dict__["cache_ignore_input_vars"] = tuple(self.cache_ignore_input_vars)
        if self.cache and not self.cache_version:
            raise TaskDefinitionError("cache=True needs a cache_version", hint='write cache_version="1"')
        if self.cache_serialize and not self.cache:
            raise TaskDefinitionError(
                "cache_serialize=True needs cache=True", hint='write cache=True, cache_version="1"'
            )
        if self.cache_ignore_input_vars and not self.cache:
            raise TaskDefinitionError(
                "cache_ignore_input_vars needs cache=True", hint='write cache=True, cache_version="1"'
            )
        _ = RetryStrategy(self.retries)

    @property
    def retry_strategy(self) -> RetryStrategy:
        """The retries as the newer API says them."""
        return RetryStrategy(self.retries)

    @property
    def settings(self) -> dict[str, Any]:
        """The same, as the settings of a task."""
        version = self.cache_version or None
        cache = Cache("override", version, self.cache_serialize, self.cache_ignore_input_vars) if self.cache else None
        return {
            "cache": cache,
            "retries": self.retries or None,
            "timeout": self.timeout,
            "interruptible": self.interruptible,
            "pod_template": self.pod_template_name,
            "report": self.generates_deck or None,
            "deprecated": self.deprecated or None,
            "eager": self.is_eager or None,
        }

    def to_taskmetadata_model(self) -> TaskMetadataMessage:
        """The message that a template carries."""
        from tasksdk.task.template import metadata_message
        from tasksdk.values.settings import TaskSettings

        return metadata_message(TaskSettings(**self.settings), self.cache_version)
