"""Where each setting lands in the template."""

from __future__ import annotations

import pytest
from flyteidl2.core.interface_pb2 import TypedInterface
from flyteidl2.core.tasks_pb2 import TaskTemplate
from tasksdk import (
    PodTemplate,
    Resources,
    RetryStrategy,
    ReusePolicy,
    Secret,
    SerializationContext,
    Task,
    TaskEnvironment,
    TaskMetadata,
    Timeout,
)

SCTX = SerializationContext(version="v1", project="p", domain="d")


class Statement(Task):
    def __init__(self, **settings: object) -> None:
        super().__init__("sql", "query", TypedInterface(), **settings)

    def sql(self, sctx: SerializationContext) -> str:
        return "select 1"

    def custom_config(self, sctx: SerializationContext) -> dict[str, object]:
        return {"version": sctx.version}

    def get_config(self, settings: SerializationContext) -> dict[str, str]:
        return {"key": "value"}


def test_names_of_both_apis_are_one_thing() -> None:
    task = Statement()
    assert task.get_custom(SCTX) == task.custom_config(SCTX) == {"version": "v1"}
    assert task.config(SCTX) == task.get_config(SCTX) == {"key": "value"}
    template = task.to_template(SCTX)
    assert (template.type, template.id.name, template.id.version, template.sql.statement) == (
        "sql",
        "query",
        "v1",
        "select 1",
    )
    assert template.custom["version"] == "v1"
    assert template.config == {"key": "value"}
    assert template == TaskTemplate.FromString(template.SerializeToString())


def test_settings_land_in_their_fields() -> None:
    settings = {
        "resources": Resources(cpu=(1, 2), memory="1Gi", gpu="A100:2", shm="1Gi"),
        "retries": RetryStrategy(3, 10, 2),
        "timeout": Timeout(60, 5),
        "reusable": ReusePolicy((1, 4), 30),
        "secrets": [Secret("token", "group"), Secret("file", mount="/run/f")],
        "queue": "fast",
        "interruptible": True,
        "report": True,
        "deprecated": "use another",
        "cache": "override",
    }
    template = Statement(**settings).to_template(SCTX)
    metadata = template.metadata
    assert metadata.discoverable
    assert metadata.retries.retries == 3
    assert (metadata.retries.backoff.cap.seconds, metadata.retries.backoff.factor) == (10, 2)
    assert (metadata.timeout.seconds, metadata.timeouts.queued_timeout.seconds) == (60, 5)
    assert metadata.interruptible
    assert metadata.generates_deck.value
    assert metadata.deprecated_error_message == "use another"
    assert template.extended_resources.gpu_accelerator.device == "A100"
    assert template.extended_resources.shared_memory.size_limit == str(2**30)
    assert [(s.group, s.key, s.env_var) for s in template.security_context.secrets] == [
        ("group", "token", "GROUP_TOKEN"),
        ("", "file", "/run/f"),
    ]
    assert (
        template.reuse_policy.min_replicas,
        template.reuse_policy.max_replicas,
        template.reuse_policy.idle_ttl.seconds,
    ) == (1, 4, 30)
    assert template.config["queue"] == "fast"


def test_a_security_context_is_another_spelling_of_secrets() -> None:
    secrets = (Secret("token", "group"), Secret("file", mount="/run/f"))
    message = Statement(secrets=list(secrets)).security_context
    again = Task("t", "again", security_ctx=message)
    assert again.security_context == message
    assert again.secrets[1] == secrets[1]


def test_metadata_is_another_spelling_of_the_settings() -> None:
    metadata = TaskMetadata(
        cache=True, cache_version="7", retries=2, timeout=9, generates_deck=True, deprecated="old", is_eager=True
    )
    task = Task("t", "name", metadata=metadata)
    assert task.metadata == metadata
    assert task.to_template(SCTX).metadata == metadata.to_taskmetadata_model()
    assert metadata.to_taskmetadata_model().discovery_version == "7"


def test_a_name_is_needed() -> None:
    with pytest.raises(ValueError, match="name"):
        Task("t", " ")
    with pytest.raises(ValueError, match="colour"):
        Task("t", "n", colour="red")


def test_the_base_has_no_native_interface() -> None:
    task = Task("t", "n", TypedInterface())
    assert task.python_interface is None
    assert task.get_input_types() is None
    assert task.get_type_for_input_var("x", 3) is int
    assert task.interface == TypedInterface()
    with pytest.raises(NotImplementedError, match="execute"):
        Task("t", "n")()


def test_a_pod_template_keeps_its_containers() -> None:
    env = TaskEnvironment("pods", image="registry/image:1")

    @env.task(
        env_vars={"A": "1"},
        resources=Resources(cpu=1, gpu=1),
        pod_template=PodTemplate(pod_spec={"containers": [{"name": "side"}]}, labels={"l": "1"}),
    )
    def nothing() -> None: ...

    globals()["nothing"] = nothing
    pod = nothing.get_k8s_pod(SCTX)
    assert pod is not None
    side, primary = pod.pod_spec["containers"]
    assert side["name"] == "side"
    assert primary["image"] == "registry/image:1"
    assert primary["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert [dict(entry) for entry in primary["env"]] == [{"name": "A", "value": "1"}]
    assert pod.metadata.labels == {"l": "1"}
