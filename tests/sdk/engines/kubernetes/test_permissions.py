"""What a user of a real Kubernetes must be allowed: the role of the documentation."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from kubernetes import client
from tasksdk.engines.attempt import ExitReason, Phase, SecretValue
from tasksdk.errors import EngineError

if TYPE_CHECKING:
    from .conftest import Ward

pytestmark = pytest.mark.kube

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "kubernetes-engine.md"


def documented_role() -> dict[str, object]:
    (block,) = (text for text in PAGE.read_text().split("```yaml\n") if "kind: Role\n" in text)
    found: dict[str, object] = yaml.safe_load(block.partition("```")[0])
    return found


def wait_until_full(core: client.CoreV1Api, namespace: str) -> None:
    """A quota counts from when the server has heard of it."""
    pod = {"metadata": {"name": "one-too-many"}, "spec": {"containers": [{"name": "main", "image": "i"}]}}
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            core.create_namespaced_pod(namespace, pod, dry_run="All")
        except client.ApiException as refused:
            if "exceeded quota" in refused.body:
                return
        time.sleep(0.05)
    pytest.fail("the quota does not count")


def test_who_may_nothing_is_told_what_is_missing(ward: Ward) -> None:
    ward.settings["context"] = "somebody"
    with pytest.raises(EngineError, match='cannot create resource "jobs"'):
        ward.run(ward.sh("forbidden-1", "true"))


def test_the_documented_role_is_enough(ward: Ward) -> None:
    namespace, core = ward.cluster.namespace, ward.cluster.core
    rules = client.RbacAuthorizationV1Api(core.api_client)
    rules.create_namespaced_role(namespace, documented_role())
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tasks"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "somebody"}
    binding = {"metadata": {"name": "tasks"}, "roleRef": reference, "subjects": [subject]}
    rules.create_namespaced_role_binding(namespace, binding)
    template = {"metadata": {"name": "ours"}, "template": {"spec": {"containers": [{"name": "main", "image": "i"}]}}}
    core.create_namespaced_pod_template(namespace, template)
    ward.settings["context"] = "somebody"
    secrets = (SecretValue("k", "hunter2", variable="K"),)
    told = ward.run(ward.sh("allowed-1", "echo $K | rev", secrets=secrets, pod_template="ours"))
    assert (told.end.reason, told.lines) == (ExitReason.COMPLETED, ["2retnuh"])
    full = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    core.create_namespaced_resource_quota(namespace, full)
    wait_until_full(core, namespace)

    async def queued() -> None:
        engine = ward.open()
        await engine.submit(ward.sh("queued-1", "true"))
        async for event in engine.watch("queued-1"):
            if "exceeded quota" in event.message:
                await engine.abort("queued-1", "enough")
        assert event.phase is Phase.ABORTED
        await engine.close()

    asyncio.run(queued())
    assert ward.left() == []
