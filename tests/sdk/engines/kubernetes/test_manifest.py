from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasksdk.engines.attempt import AttemptSpec, Mount, SecretValue, Staging
from tasksdk.engines.kubernetes.copilot import BRING, TAKE
from tasksdk.engines.kubernetes.manifest import job_manifest, label, secret_manifest
from tasksdk.engines.kubernetes.pod_template import PodBase, base_of
from tasksdk.engines.kubernetes.settings import read_settings
from tasksdk.errors import TaskDefinitionError
from tasksdk.values.pod import PodTemplate
from tasksdk.values.resources import Device, Resources

SHARED = {"path": "/shared", "volume": {"hostPath": {"path": "/srv/tasks"}}}


def manifest(template: PodTemplate | str | None = None, table: dict[str, Any] | None = None, **fields: Any) -> Any:
    fields = {"image": "registry.example.com/i@sha256:1", "argv": ("run",), **fields}
    spec = AttemptSpec(name="n-1", run="r", action="a", attempt=1, task="env.t", **fields)
    base = base_of(template)
    assert isinstance(base, PodBase)
    return job_manifest(spec, read_settings(table or {}), base)


def pod(*args: Any, **fields: Any) -> Any:
    return manifest(*args, **fields)["spec"]["template"]["spec"]


def container(*args: Any, **fields: Any) -> Any:
    return pod(*args, **fields)["containers"][-1]


def test_a_job_runs_once_and_never_restarts_its_pod() -> None:
    job = manifest()
    assert job["metadata"]["name"] == "n-1"
    assert (job["spec"]["backoffLimit"], job["spec"]["parallelism"], job["spec"]["completions"]) == (0, 1, 1)
    assert job["spec"]["ttlSecondsAfterFinished"] == 600
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_dollars_reach_the_program_as_they_are() -> None:
    found = container(argv=("echo", "$(HOME) $$"), env={"PRICE": "$5 $(HOME)"})
    assert found["command"] == ["echo", "$$(HOME) $$$$"]
    assert found["env"] == [{"name": "PRICE", "value": "$$5 $$(HOME)"}]


def test_without_a_command_the_image_s_own_runs() -> None:
    assert "command" not in container(argv=())


def test_resources_are_requests_and_limits() -> None:
    found = container(resources=Resources(cpu=("500m", 2), memory="1Gi", gpu=2, disk="10Gi"))
    assert found["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "10Gi", "nvidia.com/gpu": "2"},
        "limits": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "10Gi", "nvidia.com/gpu": "2"},
    }


def test_a_device_is_what_the_settings_call_it() -> None:
    table = {"devices": {"T4": {"node_selector": {"accelerator": "tesla-t4"}, "tolerations": [{"key": "gpu"}]}}}
    found = pod(None, table, resources=Resources(gpu="T4:1"))
    assert found["nodeSelector"] == {"accelerator": "tesla-t4"}
    assert found["tolerations"] == [{"key": "gpu"}]
    with pytest.raises(TaskDefinitionError, match="A100"):
        pod(None, table, resources=Resources(gpu="A100:1"))


def test_a_partition_is_a_resource_of_its_own() -> None:
    table = {"devices": {"A100": {}}}
    found = container(None, table, resources=Resources(gpu=Device("A100", 1, "1g.5gb")))
    assert found["resources"]["limits"] == {"nvidia.com/mig-1g.5gb": "1"}


@pytest.mark.parametrize(
    ("resources", "limit"),
    [
        (Resources(shm="64Mi"), {"sizeLimit": str(64 * 2**20)}),
        (Resources(shm="auto", memory="1Gi"), {"sizeLimit": str(2**30)}),
        (Resources(shm="auto"), {}),
    ],
)
def test_shared_memory_is_a_volume_in_memory(resources: Resources, limit: dict[str, str]) -> None:
    found = pod(resources=resources)
    assert found["volumes"] == [{"name": "shm", "emptyDir": {"medium": "Memory", **limit}}]
    assert found["containers"][0]["volumeMounts"] == [{"name": "shm", "mountPath": "/dev/shm"}]


def test_folders_come_from_the_storage_that_has_them() -> None:
    mounts = (Mount("/shared/run/in", "/var/inputs", read_only=True),)
    found = pod(None, {"storage": [SHARED]}, folders=("/shared/run/out", "s3://bucket/raw"), mounts=mounts)
    assert found["volumes"] == [{"name": "storage-0", "hostPath": {"path": "/srv/tasks"}}]
    assert found["containers"][0]["volumeMounts"] == [
        {"name": "storage-0", "mountPath": "/shared/run/out", "subPath": "run/out"},
        {"name": "storage-0", "mountPath": "/var/inputs", "subPath": "run/in", "readOnly": True},
    ]


def test_files_in_storage_are_the_client_s_unless_somebody_says_otherwise() -> None:
    def user(template: PodTemplate | None = None, folder: str = "/shared/run", **table: Any) -> Any:
        return pod(template, {"storage": [SHARED], **table}, folders=(folder,)).get("securityContext")

    assert user() == {"runAsUser": os.getuid(), "runAsGroup": os.getgid()}
    assert user(run_as="image") is None
    assert user(folder="s3://bucket/run") is None
    assert user(PodTemplate({"securityContext": {"runAsUser": 7}})) == {"runAsUser": 7}


def test_a_folder_of_this_machine_alone_is_refused() -> None:
    with pytest.raises(TaskDefinitionError, match=r"/tmp/run.*\n.*storage"):
        pod(None, {"storage": [SHARED]}, folders=("/tmp/run",))


def test_secrets_are_in_the_secret_and_nowhere_else() -> None:
    secrets = (
        SecretValue("one", "hunter2-at-a-variable", variable="ONE"),
        SecretValue("two", "hunter2-in-a-file", mount="/etc/creds/two"),
    )
    job = manifest(secrets=secrets)
    assert "hunter2" not in json.dumps(job)
    assert job["spec"]["parallelism"] == 0  # it begins when the Secret is there
    template = job["spec"]["template"]["spec"]
    assert template["containers"][0]["env"] == [
        {"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "n-1", "key": "s0"}}}
    ]
    assert template["containers"][0]["volumeMounts"] == [
        {"name": "secrets", "mountPath": "/etc/creds/two", "subPath": "s1", "readOnly": True}
    ]
    job["metadata"]["uid"] = "uid"
    spec = AttemptSpec(name="n-1", run="r", action="a", attempt=1, task="t", argv=(), secrets=secrets)
    assert secret_manifest(spec, job)["metadata"]["ownerReferences"][0]["uid"] == "uid"


def test_queues_and_interruption_place_the_pod() -> None:
    table = {
        "queues": {"night": {"labels": {"team": "a"}, "tolerations": [{"key": "night"}], "priority_class": "low"}},
        "interruptible": {"tolerations": [{"key": "spot"}], "node_selector": {"spot": "true"}},
    }
    job = manifest(None, table, queue="night", interruptible=True)
    assert job["metadata"]["labels"]["team"] == "a"
    assert job["metadata"]["labels"]["tasksdk.dev/queue"] == "night"
    assert job["metadata"]["labels"]["tasksdk.dev/interruptible"] == "true"
    found = job["spec"]["template"]["spec"]
    assert found["tolerations"] == [{"key": "night"}, {"key": "spot"}]
    assert (found["nodeSelector"], found["priorityClassName"]) == ({"spot": "true"}, "low")
    calm = manifest(None, table, queue="day", interruptible=False)
    assert calm["metadata"]["labels"]["tasksdk.dev/queue"] == "day"
    assert calm["spec"]["template"]["spec"]["tolerations"] == []


def test_the_task_s_settings_come_over_the_template() -> None:
    template = PodTemplate(
        {
            "nodeSelector": {"disk": "ssd"},
            "restartPolicy": "Always",
            "containers": [
                {"name": "helper", "image": "helper"},
                {
                    "name": "main",
                    "image": "replaced",
                    "env": [{"name": "A", "value": "theirs"}, {"name": "B", "valueFrom": {"fieldRef": {}}}],
                    "resources": {"limits": {"cpu": "9", "example.com/fpga": "1"}},
                },
            ],
        },
        "main",
        labels={"team": "a"},
    )
    job = manifest(template, env={"B": "ours"}, resources=Resources(cpu=2))
    found = job["spec"]["template"]["spec"]
    helper, main = found["containers"]
    assert (found["nodeSelector"], found["restartPolicy"]) == ({"disk": "ssd"}, "Never")
    assert helper == {"name": "helper", "image": "helper"}
    assert main["image"] == "registry.example.com/i@sha256:1"
    assert main["env"] == [{"name": "A", "value": "theirs"}, {"name": "B", "value": "ours"}]
    assert main["resources"]["limits"] == {"cpu": "2", "example.com/fpga": "1"}
    assert job["metadata"]["labels"]["team"] == "a"
    assert job["metadata"]["annotations"]["tasksdk.dev/container"] == "main"


def test_a_template_may_be_a_model_of_the_client_or_yaml() -> None:
    from kubernetes import client

    model = client.V1PodSpec(containers=[client.V1Container(name="primary")], node_selector={"disk": "ssd"})
    text = "spec:\n  containers: [{name: only}]\n  nodeSelector: {disk: ssd}\nmetadata: {labels: {team: a}}"
    assert pod(PodTemplate(model))["nodeSelector"] == {"disk": "ssd"}
    job = manifest(text)
    assert job["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert [one["name"] for one in job["spec"]["template"]["spec"]["containers"]] == ["only"]
    assert job["metadata"]["labels"]["team"] == "a"
    assert base_of("the-name-of-one") == "the-name-of-one"
    for wrong in ("a: [", "https://example.com"):
        with pytest.raises(TaskDefinitionError, match="pod_template"):
            base_of(wrong)


STAGING = Staging("helper:1", ("bring", "$HOME"), ("take",), "/in", "/out")


def test_helpers_stand_before_and_after_a_container_without_the_sdk() -> None:
    template = PodTemplate(
        {
            "initContainers": [{"name": "theirs"}],
            "containers": [{"name": "primary", "securityContext": {"runAsUser": 7}}],
        }
    )
    secrets = (SecretValue("one", "hunter2", variable="ONE"),)
    table, resources = {"storage_secrets": ["login"]}, Resources(cpu=1, memory="32Mi", gpu=1)
    found = pod(template, table, staging=STAGING, resources=resources, secrets=secrets, argv=("run",))
    theirs, bring, task = found["initContainers"]
    (take,) = found["containers"]
    assert (theirs["name"], bring["name"], task["name"], take["name"]) == ("theirs", BRING, "primary", TAKE)
    assert (bring["command"], take["command"], task["command"]) == (["bring", "$$HOME"], ["take"], ["run"])
    amounts = {"cpu": "1", "memory": "256Mi"}
    for helper in (bring, take):
        assert (helper["image"], helper["securityContext"]) == ("helper:1", {"runAsUser": 7})
        assert helper["envFrom"] == [{"secretRef": {"name": "login"}}]
        assert helper["resources"] == {"requests": amounts, "limits": amounts}
        assert "env" not in helper
        assert helper["volumeMounts"] == [{"name": BRING, "mountPath": "/in"}, {"name": TAKE, "mountPath": "/out"}]
    assert task["volumeMounts"] == [
        {"name": BRING, "mountPath": "/in", "readOnly": True},
        {"name": TAKE, "mountPath": "/out"},
    ]
    assert "envFrom" not in task
    assert [volume["emptyDir"] for volume in found["volumes"]] == [{}, {}]


@pytest.mark.parametrize(
    "container", [{"name": "proxy", "image": "p"}, {"name": "primary", "livenessProbe": {"exec": {"command": ["x"]}}}]
)
def test_what_helpers_cannot_stand_beside_is_refused(container: dict[str, Any]) -> None:
    with pytest.raises(TaskDefinitionError, match=r"(proxy|livenessProbe)[^\n]*\n.*storage"):
        pod(PodTemplate({"containers": [container]}), staging=STAGING)


def test_who_uses_an_address_gets_its_login() -> None:
    table = {"storage_secrets": ["login"], "storage": [SHARED]}
    assert container(None, table, folders=("s3://b/r",))["envFrom"] == [{"secretRef": {"name": "login"}}]
    assert "envFrom" not in container(None, table, folders=("/shared/r",))


def test_an_image_is_needed() -> None:
    with pytest.raises(TaskDefinitionError, match=r"env\.t"):
        manifest(image=None)


@given(st.text())
def test_any_text_is_the_value_of_a_label(text: str) -> None:
    import re

    assert re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", label(text))
    assert len(label(text)) <= 63


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_texts_are_two_labels(one: str, other: str) -> None:
    assert (one == other) == (label(one) == label(other))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"keep_seconds": "long"}, "keep_seconds"),
        ({"storage": [{"path": "/x"}]}, "volume"),
        ({"storage": {"path": "/x"}}, "storage"),
        ({"queues": {"a": 1}}, "queues.a"),
        ({"queues": {"a": {"colour": "red"}}}, "colour"),
        ({"namespace": 7}, "namespace"),
        ({"run_as": "root"}, "run_as"),
    ],
)
def test_a_wrong_setting_is_named(table: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskDefinitionError, match=said):
        read_settings(table)
