"""A task as the `TaskTemplate` message: the only place that makes one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flyteidl2.core.identifier_pb2 import Identifier, ResourceType
from flyteidl2.core.literals_pb2 import Backoff, KeyValuePair
from flyteidl2.core.literals_pb2 import RetryStrategy as RetryMessage
from flyteidl2.core.tasks_pb2 import (
    Container,
    ExtendedResources,
    GPUAccelerator,
    K8sObjectMetadata,
    K8sPod,
    RuntimeMetadata,
    SharedMemory,
    TaskMetadata,
)
from flyteidl2.core.tasks_pb2 import Resources as ResourcesMessage
from flyteidl2.core.tasks_pb2 import ReusePolicy as ReuseMessage
from flyteidl2.core.tasks_pb2 import TaskTemplate as TaskTemplateMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BoolValue

from tasksdk.task.code_version import cache_version
from tasksdk.task.security import security_message
from tasksdk.values.cache import cache_from
from tasksdk.values.pod import PodTemplate
from tasksdk.values.retry import retry_strategy
from tasksdk.values.timeout import timeout_from
from tasksdk.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasksdk.task.base import Task
    from tasksdk.task.serialization import SerializationContext
    from tasksdk.values.resources import Resources
    from tasksdk.values.reuse import ReusePolicy
    from tasksdk.values.settings import TaskSettings

_NAMES = {
    "cpu": ResourcesMessage.CPU,
    "memory": ResourcesMessage.MEMORY,
    "gpu": ResourcesMessage.GPU,
    "ephemeral-storage": ResourcesMessage.EPHEMERAL_STORAGE,
}
SHM_NAME = "shm"
SHM_PATH = "/dev/shm"  # noqa: S108 - the path of shared memory, not a temporary file


def template_of(task: Task, sctx: SerializationContext) -> TaskTemplateMessage:
    """Every field of the template, each from the method of the task that says it."""
    custom = Struct()
    custom.update(dict(task.get_custom(sctx)))
    pod = task.get_k8s_pod(sctx)
    template = TaskTemplateMessage(
        id=Identifier(
            resource_type=ResourceType.TASK,
            project=sctx.project,
            domain=sctx.domain,
            org=sctx.org,
            name=task.name,
            version=sctx.version,
        ),
        type=task.task_type,
        task_type_version=task.task_type_version,
        metadata=metadata_message(task.settings, cache_version(task, task.cache) if task.cache.enabled else ""),
        interface=task.interface,
        custom=custom,
        config=task.get_config(sctx),
        security_context=security_message(task.secrets),
        extended_resources=task.get_extended_resources(sctx),
        reuse_policy=reuse_message(task.reusable),
    )
    sql, container = task.get_sql(sctx), task.get_container(sctx)
    # One of them is the template's target (`oneof target`).
    if sql is not None:
        template.sql.CopyFrom(sql)
    elif pod is not None:
        template.k8s_pod.CopyFrom(pod)
    elif container is not None:
        template.container.CopyFrom(container)
    if task.queue is not None:
        template.config["queue"] = task.queue
    if task.settings.max_inline_io_bytes is not None:
        template.config["max_inline_io_bytes"] = str(task.max_inline_io_bytes)
    return template


def metadata_message(settings: TaskSettings, cache_version: str) -> TaskMetadata:
    """Cache, retries, timeout and flags."""
    cache, retries, timeout = (
        cache_from(settings.cache),
        retry_strategy(settings.retries),
        timeout_from(settings.timeout),
    )
    strategy = RetryMessage(retries=retries.count)
    if retries.backoff is not None or retries.backoff_factor is not None:
        first, factor, longest = retries.growth
        strategy.backoff.CopyFrom(Backoff(base=_duration(first), factor=factor, cap=_duration(longest)))
    message = TaskMetadata(
        discoverable=cache.enabled,
        discovery_version=cache_version if cache.enabled else "",
        cache_serializable=cache.enabled and cache.serialize,
        cache_ignore_input_vars=cache.ignored_inputs if cache.enabled else (),
        runtime=RuntimeMetadata(type=RuntimeMetadata.FLYTE_SDK, version=VERSION, flavor="python"),
        retries=strategy,
        deprecated_error_message=settings.deprecated or "",
        generates_deck=BoolValue(value=bool(settings.report)),
        is_eager=bool(settings.eager),
    )
    if settings.interruptible is not None:
        message.interruptible = settings.interruptible
    if isinstance(settings.pod_template, str):
        message.pod_template_name = settings.pod_template
    if timeout.runtime_seconds is not None:
        message.timeout.CopyFrom(_duration(timeout.runtime_seconds))
    if timeout.queued_seconds is not None:
        message.timeouts.queued_timeout.CopyFrom(_duration(timeout.queued_seconds))
    if timeout.deadline_seconds is not None:
        message.timeouts.deadline.CopyFrom(_duration(timeout.deadline_seconds))
    return message


def container_message(
    task: Task, sctx: SerializationContext, args: Sequence[str], command: Sequence[str] = (), image: Any = None
) -> Container:
    """The task's container: its image, what it runs, its variables and its resources."""
    variables = {**sctx.env, **task.env_vars}
    return Container(
        image=sctx.reference(task.image if image is None else image),
        command=command,
        args=args,
        env=[KeyValuePair(key=name, value=value) for name, value in variables.items()],
        resources=resources_message(task.resources),
        data_config=task.data_loading_config(sctx),
    )


def resources_message(resources: Resources) -> ResourcesMessage:
    """Requests and limits."""

    def entries(amounts: Mapping[str, str]) -> list[ResourcesMessage.ResourceEntry]:
        return [ResourcesMessage.ResourceEntry(name=_NAMES[name], value=value) for name, value in amounts.items()]

    return ResourcesMessage(requests=entries(resources.requests), limits=entries(resources.limits))


def extended_resources_message(resources: Resources) -> ExtendedResources | None:
    """Accelerators of a kind, and shared memory; None where neither is asked for."""
    device, message = resources.device, ExtendedResources()
    if device is not None and device.device:
        accelerator = GPUAccelerator(device=device.device)
        if device.partition is not None:
            accelerator.partition_size = device.partition
        else:
            accelerator.unpartitioned = True
        message.gpu_accelerator.CopyFrom(accelerator)
    if resources.shm is not None:
        limit = "" if resources.shm_bytes is None else str(resources.shm_bytes)
        message.shared_memory.CopyFrom(SharedMemory(mount_path=SHM_PATH, mount_name=SHM_NAME, size_limit=limit))
    return message if message.ByteSize() else None


def pod_message(task: Task, sctx: SerializationContext) -> K8sPod | None:
    """The pod of a task with a pod template of its own; its container is merged into the primary one."""
    pod = task.pod_template
    if not isinstance(pod, PodTemplate):
        return None
    container = task.get_container(sctx)
    spec = pod.as_mapping()
    if container is not None:
        primary = next(
            (c for c in spec.setdefault("containers", []) if c.get("name") == pod.primary_container_name), None
        )
        if primary is None:
            primary = {"name": pod.primary_container_name}
            spec["containers"].append(primary)
        named = {entry["name"]: entry for entry in primary.get("env", [])}
        named.update({pair.key: {"name": pair.key, "value": pair.value} for pair in container.env})
        primary.update({"image": container.image, "args": list(container.args), "env": list(named.values())})
        if container.command:
            primary["command"] = list(container.command)
        amounts = {"requests": task.resources.requests, "limits": task.resources.limits}
        if any(amounts.values()):
            primary["resources"] = {kind: _kubernetes_names(values) for kind, values in amounts.items()}
    message = K8sPod(
        metadata=K8sObjectMetadata(labels=pod.labels, annotations=pod.annotations),
        primary_container_name=pod.primary_container_name,
        data_config=task.data_loading_config(sctx),
    )
    message.pod_spec.update(spec)
    return message


def reuse_message(policy: ReusePolicy | None) -> ReuseMessage | None:
    """How many workers live how long."""
    if policy is None:
        return None
    low, high = policy.bounds
    return ReuseMessage(
        min_replicas=low,
        max_replicas=high,
        concurrency=policy.concurrency,
        idle_ttl=_duration(policy.idle_seconds),
        scaledown_ttl=None if policy.scaledown_ttl is None else _duration(policy.surplus_seconds),
    )


def _kubernetes_names(amounts: Mapping[str, str]) -> dict[str, str]:
    return {("nvidia.com/gpu" if name == "gpu" else name): value for name, value in amounts.items()}


def _duration(value: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=value))
    return message
