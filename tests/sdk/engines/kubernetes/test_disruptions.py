"""Attempts on a real Kubernetes that takes pods away, or loses parts of itself."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest
from tasksdk.engines.attempt import ExitReason, SecretValue
from tasksdk.values.resources import Resources

if TYPE_CHECKING:
    from .conftest import Told, Ward

pytestmark = pytest.mark.kube


def test_a_pod_that_somebody_deletes_is_not_the_task_s_fault(ward: Ward) -> None:
    async def delete() -> None:
        ward.cluster.core.delete_namespaced_pod(ward.pod().metadata.name, ward.cluster.namespace)

    end = ward.run(ward.patient("deleted-1"), delete).end  # while Kubernetes puts another in its place
    assert end.reason is ExitReason.EVICTED
    assert ward.left() == []


def test_a_pod_that_says_it_is_done_when_somebody_deletes_it_is_not_believed(ward: Ward) -> None:
    async def delete() -> None:
        ward.cluster.core.delete_namespaced_pod(ward.pod().metadata.name, ward.cluster.namespace)

    # Until the trap is there a shell that is the first process of a container is deaf.
    script = "trap 'exit 0' TERM; while true; do sleep 0.1; done"
    end = ward.run(ward.sh("polite-1", script), delete).end
    assert end.reason is ExitReason.EVICTED
    assert end.code in {0, None}
    assert ward.left() == []


def test_a_job_that_somebody_deletes_is_lost(ward: Ward) -> None:
    async def delete() -> None:
        ward.cluster.batch.delete_namespaced_job("gone-1", ward.cluster.namespace, propagation_policy="Orphan")

    end = ward.run(ward.patient("gone-1"), delete).end
    assert end.reason is ExitReason.LOST
    assert ward.left() == []


def test_a_node_s_eviction_is_not_the_task_s_fault(ward: Ward) -> None:
    script = "head -c 100000000 /dev/zero > /tmp/much; sleep 1000"
    end = ward.run(ward.sh("evicted-1", script, resources=Resources(disk="1Mi"))).end
    assert end.reason is ExitReason.EVICTED
    assert "ephemeral" in end.message.lower()
    assert ward.left() == []


def test_an_eviction_is_not_the_task_s_fault(ward: Ward) -> None:
    """What `kubectl drain` asks for, too."""
    secret = SecretValue("k", "v", variable="K")

    async def evict() -> None:
        name, namespace = ward.pod().metadata.name, ward.cluster.namespace
        eviction = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": name}}
        ward.cluster.core.create_namespaced_pod_eviction(name, namespace, eviction)

    end = ward.run(ward.patient("evicted-2", secrets=(secret,)), evict).end
    assert end.reason is ExitReason.EVICTED
    assert ward.left() == []


def test_a_drained_node_is_not_the_task_s_fault(ward: Ward) -> None:
    """A taint that the pod does not tolerate takes it away, as that of a node that is lost does."""
    core = ward.cluster.core
    (node,) = core.list_node().items

    async def taint() -> None:
        taints = [{"key": ward.cluster.namespace, "effect": "NoExecute"}]
        core.patch_node(node.metadata.name, {"spec": {"taints": taints}})

    try:
        end = ward.run(ward.patient("drained-1"), taint).end
    finally:
        core.patch_node(node.metadata.name, {"spec": {"taints": None}})
    assert end.reason is ExitReason.EVICTED
    assert ward.left() == []


@pytest.mark.parametrize("program", ["kube-apiserver", "etcd", "kubelet"])
def test_a_killed_part_of_the_cluster_loses_nothing(ward: Ward, program: str) -> None:
    told = counting_while_killed(ward, program)
    assert (told.end.reason, told.end.code) == (ExitReason.ERROR, 7)
    assert told.lines == [str(n) for n in range(1, 26)]
    ward.wait_until_nothing_is_left()


def test_a_killed_container_runtime_loses_only_what_it_was_writing(ward: Ward) -> None:
    """What containerd has read from the container and not yet put on the disk ends with it."""
    told = counting_while_killed(ward, "kubelet", "containerd")
    assert (told.end.reason, told.end.code) == (ExitReason.ERROR, 7)
    written = [str(n) for n in range(1, 26)]
    assert [line for line in written if line in told.lines] == told.lines  # in order, and none twice
    assert told.lines[-5:] == written[-5:]
    assert len(told.lines) >= len(written) - 2
    ward.wait_until_nothing_is_left()


def counting_while_killed(ward: Ward, *programs: str) -> Told:
    async def restart() -> None:
        def again() -> None:
            for program in programs:
                subprocess.run([ward.cluster.script, "kill", program], check=True)
            subprocess.run([ward.cluster.script, "up"], check=True)

        await asyncio.to_thread(again)

    script = "for n in $(seq 25); do echo $n; sleep 0.2; done; exit 7"
    return ward.run(ward.sh("restart-1", script), restart)


def test_a_task_that_ends_while_nobody_can_be_asked_is_told(ward: Ward) -> None:
    async def while_away() -> None:
        def again() -> None:
            subprocess.run([ward.cluster.script, "kill", "kube-apiserver"], check=True)
            ward.wait_for_process("the-program-of-this-test")
            subprocess.run([ward.cluster.script, "up"], check=True)

        await asyncio.to_thread(again)

    script = "import time; time.sleep(2); print('the-program-of-this-test'); raise SystemExit(7)"
    told = ward.run(ward.spec("away-1", "python", "-c", script), while_away)
    assert (told.end.reason, told.end.code, told.lines) == (ExitReason.ERROR, 7, ["the-program-of-this-test"])
    ward.wait_until_nothing_is_left()
