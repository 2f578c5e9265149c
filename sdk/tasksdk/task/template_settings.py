"""The settings of a task, read back from its template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyteidl2.core.tasks_pb2 import Container
from flyteidl2.core.tasks_pb2 import Resources as ResourcesMessage
from google.protobuf.json_format import MessageToDict

from tasksdk.task.security import secrets_of
from tasksdk.values.cache import Cache
from tasksdk.values.pod import PodTemplate
from tasksdk.values.resources import Device, Resources
from tasksdk.values.retry import FIRST_DELAY, Backoff, RetryStrategy
from tasksdk.values.reuse import ReusePolicy
from tasksdk.values.timeout import Timeout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flyteidl2.core.tasks_pb2 import ExtendedResources, TaskMetadata
    from flyteidl2.core.tasks_pb2 import ReusePolicy as ReuseMessage
    from flyteidl2.core.tasks_pb2 import TaskTemplate as TaskTemplateMessage

_KINDS = {
    "cpu": ResourcesMessage.CPU,
    "memory": ResourcesMessage.MEMORY,
    "nvidia.com/gpu": ResourcesMessage.GPU,
    "ephemeral-storage": ResourcesMessage.EPHEMERAL_STORAGE,
}


def container_of(template: TaskTemplateMessage) -> Container:
    """The container: the template's own, else the primary one of its pod."""
    if not template.HasField("k8s_pod"):
        return template.container
    pod = template.k8s_pod
    containers = MessageToDict(pod.pod_spec).get("containers", [])
    primary: dict[str, Any] = next((c for c in containers if c.get("name") == pod.primary_container_name), {})
    amounts = primary.get("resources", {})
    found = Container(
        image=primary.get("image", ""),
        command=primary.get("command", ()),
        args=primary.get("args", ()),
        resources=ResourcesMessage(
            requests=_entries(amounts.get("requests", {})), limits=_entries(amounts.get("limits", {}))
        ),
        data_config=pod.data_config if pod.HasField("data_config") else None,
    )
    for entry in primary.get("env", ()):
        if "value" in entry:
            found.env.add(key=entry["name"], value=entry["value"])
    return found


def set_arguments(template: TaskTemplateMessage, args: list[str]) -> None:
    """Put others in place of the container's arguments."""
    if not template.HasField("k8s_pod"):
        template.container.args[:] = args
        return
    pod = template.k8s_pod
    spec = _whole(MessageToDict(pod.pod_spec))
    for container in spec.get("containers", []):
        if container.get("name") == pod.primary_container_name:
            container["args"] = args
    pod.pod_spec.Clear()
    pod.pod_spec.update(spec)


def settings_of(template: TaskTemplateMessage) -> dict[str, Any]:
    """Everything that a template says about running its task."""
    metadata, container = template.metadata, container_of(template)
    return {
        "image": container.image or None,
        "resources": _resources(container.resources, template.extended_resources),
        "env_vars": {pair.key: pair.value for pair in container.env} or None,
        "secrets": secrets_of(template.security_context) or None,
        "cache": _cache(metadata),
        "retries": _retries(metadata),
        "timeout": _timeout(metadata),
        "reusable": _reuse(template.reuse_policy) if template.HasField("reuse_policy") else None,
        "pod_template": _pod_template(template),
        "queue": template.config.get("queue") or None,
        "max_inline_io_bytes": int(most) if (most := template.config.get("max_inline_io_bytes")) else None,
        "interruptible": metadata.interruptible if metadata.WhichOneof("interruptible_value") else None,
        "report": metadata.generates_deck.value or None,
        "deprecated": metadata.deprecated_error_message or None,
        "eager": metadata.is_eager or None,
    }


def _entries(amounts: Mapping[str, str]) -> Iterable[ResourcesMessage.ResourceEntry]:
    known = ((_KINDS[name], value) for name, value in amounts.items() if name in _KINDS)
    return [ResourcesMessage.ResourceEntry(name=kind, value=value) for kind, value in known]


def _resources(message: ResourcesMessage, extended: ExtendedResources) -> Resources | None:
    low = {entry.name: entry.value for entry in message.requests}
    high = {entry.name: entry.value for entry in message.limits}

    def pair(kind: ResourcesMessage.ResourceName) -> Any:
        request, limit = low.get(kind), high.get(kind)
        if request is None or limit is None or request == limit:
            return request or limit
        return request, limit

    gpu: Any = None
    count, accelerator = pair(ResourcesMessage.GPU), extended.gpu_accelerator
    if count is not None:
        gpu = int(count)
        if accelerator.device:
            gpu = Device(accelerator.device, gpu, accelerator.partition_size or None)
    shm: Any = None
    if extended.HasField("shared_memory"):
        limit = extended.shared_memory.size_limit
        shm = int(limit) if limit else "auto"
    disk = pair(ResourcesMessage.EPHEMERAL_STORAGE)
    found = Resources(pair(ResourcesMessage.CPU), pair(ResourcesMessage.MEMORY), gpu, disk, shm)
    return None if found == Resources() else found


def _cache(metadata: TaskMetadata) -> Cache | None:
    if not metadata.discoverable:
        return None
    ignored = tuple(metadata.cache_ignore_input_vars)
    return Cache("override", metadata.discovery_version, metadata.cache_serializable, ignored)


def _retries(metadata: TaskMetadata) -> RetryStrategy:
    strategy = metadata.retries
    if not strategy.HasField("backoff"):
        return RetryStrategy(strategy.retries)
    base, factor, cap = (part := strategy.backoff).base.ToTimedelta(), part.factor, part.cap.ToTimedelta()
    if base.total_seconds() == FIRST_DELAY * factor:
        return RetryStrategy(strategy.retries, cap, factor)
    return RetryStrategy(strategy.retries, Backoff(base, factor, cap))


def _timeout(metadata: TaskMetadata) -> Timeout:
    bounds = metadata.timeouts
    queued = bounds.queued_timeout.ToTimedelta() if bounds.HasField("queued_timeout") else None
    deadline = bounds.deadline.ToTimedelta() if bounds.HasField("deadline") else None
    return Timeout(metadata.timeout.ToTimedelta(), queued, deadline)


def _reuse(policy: ReuseMessage) -> ReusePolicy:
    return ReusePolicy(
        (policy.min_replicas, policy.max_replicas),
        policy.idle_ttl.ToTimedelta(),
        policy.concurrency or 1,
        policy.scaledown_ttl.ToTimedelta() if policy.HasField("scaledown_ttl") else None,
    )


def _pod_template(template: TaskTemplateMessage) -> PodTemplate | str | None:
    if not template.HasField("k8s_pod"):
        return template.metadata.pod_template_name or None
    pod = template.k8s_pod
    return PodTemplate(
        _whole(MessageToDict(pod.pod_spec)),
        pod.primary_container_name,
        dict(pod.metadata.labels) or None,
        dict(pod.metadata.annotations) or None,
    )


def _whole(value: Any) -> Any:
    """Numbers as they were written: a struct knows no integers, and a cluster refuses `1000.0`."""
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
