from __future__ import annotations

from typing import Any

import pytest
from tasksdk.engines.attempt import ExitReason, Phase
from tasksdk.engines.kubernetes.copilot import BRING, TAKE
from tasksdk.engines.kubernetes.verdict import judge, may_run

JOB: dict[str, Any] = {"metadata": {"name": "j"}, "spec": {}, "status": {}}
BEGAN = "2026-01-02T03:04:05Z"


def pod(
    state: dict[str, Any] | None = None, /, deleted: bool = False, made: str = BEGAN, **status: Any
) -> dict[str, Any]:
    if state is not None:
        status["containerStatuses"] = [{"name": "primary", "state": state}, {"name": "other", "state": {"running": {}}}]
    metadata = {"name": f"p-{made}", "creationTimestamp": made, **({"deletionTimestamp": BEGAN} if deleted else {})}
    return {"metadata": metadata, "spec": {"nodeName": "n"}, "status": status}


def ended(code: int, reason: str = "Error", **more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": BEGAN, **more}}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("found", "reason", "code"),
    [
        (pod(ended(0, "Completed")), ExitReason.COMPLETED, 0),
        (pod(ended(0, "OOMKilled")), ExitReason.COMPLETED, 0),
        (pod(ended(3)), ExitReason.ERROR, 3),
        (pod(ended(255)), ExitReason.ERROR, 255),
        (pod(ended(137)), ExitReason.SIGNALED, 137),
        (pod(ended(137, "OOMKilled")), ExitReason.OUT_OF_MEMORY, 137),
        (pod(ended(1, "OOMKilled")), ExitReason.OUT_OF_MEMORY, 1),
        (pod(ended(128, "StartError")), ExitReason.NOT_STARTED, None),
        (pod(ended(137), deleted=True), ExitReason.EVICTED, None),
        (pod(ended(0), deleted=True), ExitReason.EVICTED, 0),
        (pod(ended(0), phase="Failed", reason="Evicted"), ExitReason.EVICTED, 0),
        (pod(ended(0), phase="Failed", reason="Shutdown"), ExitReason.EVICTED, 0),
        (pod(ended(0), conditions=[{"type": "DisruptionTarget", "status": "True"}]), ExitReason.EVICTED, 0),
        (pod(ended(0), conditions=[{"type": "DisruptionTarget", "status": "False"}]), ExitReason.COMPLETED, 0),
        (pod(ended(0), phase="Failed", reason="DeadlineExceeded"), ExitReason.TIMED_OUT, 0),
        (pod(ended(3), deleted=True), ExitReason.EVICTED, None),
        (pod(ended(137), phase="Failed", reason="Evicted", message="low on disk"), ExitReason.EVICTED, None),
        (pod(phase="Failed", reason="OutOfcpu"), ExitReason.EVICTED, None),
        (pod(phase="Failed", reason="DeadlineExceeded"), ExitReason.TIMED_OUT, None),
        (pod(conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "P"}]), ExitReason.EVICTED, None),
        (pod(waits("InvalidImageName")), ExitReason.IMAGE_UNAVAILABLE, None),
        (pod(waits("ErrImagePull", "i: not found")), ExitReason.IMAGE_UNAVAILABLE, None),
        (pod(waits("CreateContainerConfigError", "no secret")), ExitReason.NOT_STARTED, None),
        (pod(phase="Failed", message="init failed"), ExitReason.NOT_STARTED, None),
    ],
)
def test_how_a_pod_ended(found: dict[str, Any], reason: ExitReason, code: int | None) -> None:
    seen = judge(JOB, [found], "primary")
    assert seen.exit is not None
    assert (seen.exit.reason, seen.exit.code, seen.phase) == (reason, code, seen.exit.phase)
    assert not seen.tentative


def test_a_registry_that_may_come_back_is_waited_for() -> None:
    seen = judge(JOB, [pod(waits("ErrImagePull", "connection refused"))], "primary")
    assert (seen.phase, seen.tentative) == (Phase.QUEUED, True)
    assert seen.exit is not None
    assert seen.exit.reason is ExitReason.IMAGE_UNAVAILABLE


def test_what_runs_has_begun() -> None:
    seen = judge(JOB, [pod({"running": {"startedAt": BEGAN}})], "primary")
    assert (seen.phase, seen.started) == (Phase.RUNNING, 1767323045.0)


def test_another_container_s_end_is_not_the_task_s() -> None:
    found = pod({"running": {"startedAt": BEGAN}})
    found["status"]["containerStatuses"][1]["state"] = ended(1)
    assert judge(JOB, [found], "primary").phase is Phase.RUNNING


def test_the_newest_pod_counts() -> None:
    pods = [pod({"running": {"startedAt": BEGAN}}, made="2026-01-02T03:04:09Z"), pod(ended(1))]
    assert judge(JOB, pods, "primary").phase is Phase.RUNNING


def test_who_saw_a_pod_does_not_go_on_with_its_successor() -> None:
    first, second = pod({"running": {"startedAt": BEGAN}}), pod(made="2026-01-02T03:04:09Z")
    known = first["metadata"]["name"]
    assert judge(JOB, [first, second], "primary", known).phase is Phase.RUNNING
    for pods in ([second], []):
        seen = judge(JOB, pods, "primary", known)
        assert seen.exit is not None
        assert seen.exit.reason is ExitReason.EVICTED


def staged(brought: dict[str, Any], own: dict[str, Any], taken: dict[str, Any]) -> dict[str, Any]:
    """A pod whose container stands between two helpers."""
    found = pod()
    found["spec"]["containers"] = [{"name": TAKE}]
    found["status"]["initContainerStatuses"] = [{"name": BRING, "state": brought}, {"name": "primary", "state": own}]
    found["status"]["containerStatuses"] = [{"name": TAKE, "state": taken}]
    return found


LATER = waits("PodInitializing")
DONE = ended(0, "Completed")


@pytest.mark.parametrize(
    ("found", "phase", "storing"),
    [
        (staged({"running": {"startedAt": BEGAN}}, LATER, LATER), Phase.QUEUED, False),
        (staged(DONE, {"running": {"startedAt": BEGAN}}, LATER), Phase.RUNNING, False),
        (staged(DONE, DONE, {"running": {"startedAt": BEGAN}}), Phase.RUNNING, True),
        (staged(DONE, DONE, LATER), Phase.RUNNING, True),
        (staged(DONE, DONE, DONE), Phase.SUCCEEDED, False),
        (staged(DONE, ended(3), LATER), Phase.FAILED, False),
    ],
)
def test_a_container_between_helpers(found: dict[str, Any], phase: Phase, storing: bool) -> None:
    seen = judge(JOB, [found], "primary")
    assert (seen.phase, seen.storing) == (phase, storing)


def test_who_is_asked_to_end_may_yet_do_so() -> None:
    seen = judge(JOB, [pod({"running": {"startedAt": BEGAN}}, deleted=True)], "primary")
    assert seen.exit is not None
    assert (seen.phase, seen.tentative, seen.exit.reason) == (Phase.RUNNING, True, ExitReason.EVICTED)


@pytest.mark.parametrize(
    ("state", "code"), [(ended(0), 0), (ended(143), None), ({"running": {"startedAt": BEGAN}}, None)]
)
def test_a_pod_that_is_gone_ended_as_it_was_seen_at_last(state: dict[str, Any], code: int | None) -> None:
    last, successor = pod(state, deleted=True), pod(waits("ContainerCreating"), made="2026-01-02T03:04:09Z")
    for pods in ([], [successor]):
        seen = judge(JOB, pods, "primary", last["metadata"]["name"], [last])
        assert seen.exit is not None
        assert (seen.exit.reason, seen.exit.code, seen.tentative) == (ExitReason.EVICTED, code, False)


def test_outputs_that_are_stored_are_a_success_whatever_becomes_of_the_pod() -> None:
    found = staged(DONE, DONE, DONE)
    found["metadata"]["deletionTimestamp"] = BEGAN
    assert judge(JOB, [found], "primary").phase is Phase.SUCCEEDED


def test_a_container_whose_outputs_were_not_stored_before_its_pod_went_is_not_done() -> None:
    found = staged(DONE, DONE, LATER)
    found["metadata"]["deletionTimestamp"] = BEGAN
    seen = judge(JOB, [found], "primary")
    assert seen.exit is not None
    assert (seen.exit.reason, seen.exit.code) == (ExitReason.EVICTED, None)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (staged(ended(1, message="no inputs.pb\n"), LATER, LATER), "its inputs cannot be fetched: no inputs.pb"),
        (staged(DONE, DONE, ended(1, message="disk\nfull")), "its outputs cannot be stored: full"),
        (staged(DONE, DONE, ended(2)), "its outputs cannot be stored: it ended with exit code 2"),
    ],
)
def test_a_helper_that_fails_is_told(found: dict[str, Any], said: str) -> None:
    seen = judge(JOB, [found], "primary")
    assert seen.exit is not None
    assert (seen.exit.reason, seen.exit.message) == (ExitReason.ERROR, said)


def test_what_no_node_takes_says_why() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]
    seen = judge(JOB, [pod(conditions=conditions)], "primary")
    assert seen.phase is Phase.QUEUED
    assert "0/1 nodes are available" in seen.message


def test_an_init_container_that_is_stuck_is_told() -> None:
    found = pod(waits("PodInitializing"))
    found["status"]["initContainerStatuses"] = [{"name": "i", "state": waits("InvalidImageName", "bad")}]
    seen = judge(JOB, [found], "primary")
    assert seen.exit is not None
    assert seen.exit.reason is ExitReason.IMAGE_UNAVAILABLE


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (None, ExitReason.LOST),
        ({**JOB, "metadata": {"name": "j", "deletionTimestamp": BEGAN}}, ExitReason.LOST),
        ({**JOB, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}, ExitReason.COMPLETED),
        (
            {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}},
            ExitReason.LOST,
        ),
        (
            {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}},
            ExitReason.NOT_STARTED,
        ),
    ],
)
def test_a_job_without_pods(job: dict[str, Any] | None, reason: ExitReason) -> None:
    seen = judge(job, [], "primary")
    assert seen.exit is not None
    assert seen.exit.reason is reason


def test_a_job_that_was_just_made_is_queued() -> None:
    assert judge(JOB, [], "primary").phase is Phase.QUEUED


def test_what_a_node_may_still_start_is_not_removed_at_once() -> None:
    assert may_run(pod(waits("ContainerCreating")))
    assert may_run(pod())
    assert not may_run({**pod(), "spec": {}})
    only = {"metadata": {"name": "p"}, "spec": {"nodeName": "n"}}
    assert not may_run({**only, "status": {"containerStatuses": [{"name": "p", "state": waits("ImagePullBackOff")}]}})
    assert not may_run({**only, "status": {"containerStatuses": [{"name": "p", "state": ended(1)}]}})
    assert not may_run(staged(waits("ErrImagePull"), LATER, LATER))
    assert may_run(staged(DONE, waits("PodInitializing"), LATER))
