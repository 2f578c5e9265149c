from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ...conftest import Cluster

pytestmark = pytest.mark.kube


def job(cluster: Cluster, *command: str) -> dict[str, Any]:
    image = f"{cluster.registry}/library/python:3.11-slim-bookworm"
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": image, "command": list(command)}]}
    return {"metadata": {"name": "job"}, "spec": {"template": {"spec": pod}, "backoffLimit": 0}}


def finished(cluster: Cluster) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = cluster.batch.read_namespaced_job("job", cluster.namespace).status
        if status.succeeded or status.failed:
            return status
        time.sleep(0.2)
    raise AssertionError("the Job does not end")


def log(cluster: Cluster) -> str:
    (pod,) = cluster.core.list_namespaced_pod(cluster.namespace).items
    return str(cluster.core.read_namespaced_pod_log(pod.metadata.name, cluster.namespace))


def test_a_job_runs_in_an_image_of_the_registry_and_its_log_is_read(cluster: Cluster) -> None:
    cluster.batch.create_namespaced_job(cluster.namespace, job(cluster, "python", "-c", "print(6 * 7)"))
    assert finished(cluster).succeeded == 1
    assert log(cluster) == "42\n"
