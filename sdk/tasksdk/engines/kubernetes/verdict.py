"""What the state of a Job and its pods says about an attempt."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagebuilder.spec.value import Value
from tasksdk.engines.attempt import Exit, ExitReason, Phase
from tasksdk.engines.kubernetes.copilot import BRING, TAKE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Reasons of a container that waits: https://kubernetes.io/docs/concepts/containers/images/
_NEVER_PULLED = {"InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_NOT_PULLED = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"}
_NOT_CREATED = {"CreateContainerError", "CreateContainerConfigError", "RunContainerError", "PreCreateHookError"}
_CREATING = {"ContainerCreating", "PodInitializing"}
# A runtime could not start the program: containerd's and the older Docker's word for it.
_NOT_RUN = {"StartError", "ContainerCannotRun"}
# In a registry's or a runtime's message: asking again gives the same answer.
_FINAL = (
    "not found",
    "unauthorized",
    "denied",
    "forbidden",
    "authentication required",
    "no basic auth credentials",
    "manifest unknown",
    "no match for platform",
)
_HIGHEST_SIGNAL = 64
_DELETED = Exit(ExitReason.EVICTED, message="its pod was deleted by somebody else, or with its node")


class Seen(Value):
    """Where an attempt is; `started` is the cluster's time, in seconds since the epoch.

    `exit` with `tentative` is how it ends unless that changes: an image may yet be pulled, a task that was asked to end
    may be done. `storing` is when the task has succeeded and its outputs are on their way.
    """

    phase: Phase
    exit: Exit | None = None
    message: str = ""
    pod: str | None = None
    started: float | None = None
    tentative: bool = False
    storing: bool = False


def seconds(timestamp: str) -> float:
    """Seconds since the epoch of a time as the API server writes it."""
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def may_run(pod: Mapping[str, Any]) -> bool:
    """Whether a container of this pod runs, or its node may be about to start one."""
    status = pod.get("status", {})
    if not pod.get("spec", {}).get("nodeName") or status.get("phase") in {"Succeeded", "Failed"}:
        return False
    first = [one.get("state") or {} for one in status.get("initContainerStatuses") or ()]
    states = [*first, *(one.get("state") or {} for one in status.get("containerStatuses") or ())]
    if any(state.get("running") for state in states):
        return True
    # Init containers run one after the other, before all others.
    next_ones = [state for state in first if not state.get("terminated")][:1] or states
    waiting = [state.get("waiting", {}).get("reason") for state in next_ones if not state.get("terminated")]
    return not states or any(reason in {None, *_CREATING} for reason in waiting)


def judge(
    job: Mapping[str, Any] | None,
    pods: Sequence[Mapping[str, Any]],
    container: str,
    known: str | None = None,
    gone: Sequence[Mapping[str, Any]] = (),
) -> Seen:
    """Where the attempt of this Job is; `known` is the pod that was seen before, `gone` are pods as they were at last.

    Kubernetes puts a new pod in the place of one that is deleted. An attempt has one pod: who saw the first does not go
    on with the second.
    """
    if job is None:
        return _ended(Exit(ExitReason.LOST, message="its Job was deleted by somebody else"))
    theirs = [pod for pod in pods if known is None or pod["metadata"]["name"] == known]
    if theirs:
        newest = max(theirs, key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]))
        return _of_pod(newest, container)
    for pod in gone:
        last = _of_pod(pod, container)
        if pod["metadata"]["name"] == known and last.exit is not None and not last.tentative:
            return last
    for condition in job.get("status", {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in {"Complete", "Failed"}:
            return _ended(_of_ended_job(condition))
    if job["metadata"].get("deletionTimestamp"):
        return _ended(Exit(ExitReason.LOST, message="its Job is being deleted by somebody else"))
    return Seen(Phase.QUEUED) if known is None else _ended(_DELETED)


def _of_ended_job(condition: Mapping[str, Any]) -> Exit:
    """The end of a Job whose pod is gone already."""
    if condition["type"] == "Complete":
        return Exit(ExitReason.COMPLETED, 0)
    if condition.get("reason") == "DeadlineExceeded":
        return Exit(ExitReason.NOT_STARTED, message="its submission was never completed")
    return Exit(ExitReason.LOST, message=f"its pod is gone: {condition.get('message') or condition.get('reason')}")


def _ended(end: Exit, pod: str | None = None, started: float | None = None) -> Seen:
    return Seen(end.phase, end, end.message, pod, started)


def _of_pod(pod: Mapping[str, Any], container: str) -> Seen:
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    state = _state(status, container)
    terminated, runs = state.get("terminated") or {}, state.get("running") or {}
    begun = terminated.get("startedAt") or runs.get("startedAt")
    since = seconds(begun) if begun else None
    stores = any(one["name"] == TAKE for one in pod.get("spec", {}).get("containers") or ())
    last = _named(status, TAKE).get("terminated") or {} if stores else terminated
    done = terminated.get("exitCode") == 0 and last.get("exitCode") == 0
    taken_away = _taken_away(pod)
    if done and (taken_away is None or stores):
        # Outputs are stored by a container that begins after the task's: a pod that ends begins none.
        return _ended(Exit(ExitReason.COMPLETED, 0), name, since)
    if taken_away is not None and runs:
        # It may yet end in time, and well.
        return Seen(Phase.RUNNING, taken_away, pod=name, started=since, tentative=True)
    if taken_away is not None:
        # A program that was asked to end may say 0 without being done: only its outputs tell.
        return _ended(taken_away.replace(code=0) if done else taken_away, name, since)
    if terminated.get("exitCode") == 0:
        return _storing(pod, last, since)
    if terminated:
        return _ended(_of_terminated(terminated), name, since)
    return Seen(Phase.RUNNING, pod=name, started=since) if runs else _not_begun(pod, state.get("waiting") or {})


def _not_begun(pod: Mapping[str, Any], waiting: Mapping[str, Any]) -> Seen:
    """Of a task whose container waits."""
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    brought = _named(status, BRING).get("terminated") or {}
    if brought.get("exitCode"):
        return _ended(_of_copilot(brought, "its inputs cannot be fetched"), name)
    if status.get("phase") == "Failed":
        message = status.get("message") or status.get("reason") or "its pod failed before the task began"
        return _ended(Exit(ExitReason.NOT_STARTED, message=message), name)
    return _waiting(pod, waiting)


def _storing(pod: Mapping[str, Any], stored: Mapping[str, Any], since: float | None) -> Seen:
    """Of a task that has succeeded, and whose outputs are not yet where the client looks for them."""
    if stored:
        return _ended(_of_copilot(stored, "its outputs cannot be stored"), pod["metadata"]["name"], since)
    waiting = _named(pod["status"], TAKE).get("waiting") or {}
    if waiting.get("reason") in _NEVER_PULLED | _NOT_PULLED | _NOT_CREATED:
        return _waiting(pod, waiting)
    return Seen(Phase.RUNNING, pod=pod["metadata"]["name"], started=since, storing=True)


def _of_copilot(terminated: Mapping[str, Any], what: str) -> Exit:
    end = _of_terminated(terminated)
    said = (terminated.get("message") or "").strip().splitlines()
    return end.replace(message=f"{what}: {said[-1] if said else end.message}")


def _state(status: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    """The state of the task's own container, or of the one before it that is stuck."""
    for one in status.get("initContainerStatuses") or ():
        state: Mapping[str, Any] = one.get("state") or {}
        if state.get("waiting", {}).get("reason") not in {None, "PodInitializing"}:
            return state
    return _named(status, container)


def _named(status: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if one["name"] == container:
            return one.get("state") or {}
    return {}


def _taken_away(pod: Mapping[str, Any]) -> Exit | None:
    """The end of a pod that the cluster or somebody else removed."""
    status, metadata = pod.get("status", {}), pod["metadata"]
    reason, message = status.get("reason"), status.get("message") or ""
    if reason == "DeadlineExceeded":
        return Exit(ExitReason.TIMED_OUT, message=message or "its pod ran longer than it may")
    if reason:  # Evicted, Preempting, NodeLost, Shutdown, OutOfcpu, ...: the node would not have it, or not any longer
        return Exit(ExitReason.EVICTED, message=f"{reason}: {message}".rstrip(": "))
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return Exit(ExitReason.EVICTED, message=condition.get("message") or str(condition.get("reason")))
    if metadata.get("deletionTimestamp"):
        return _DELETED
    return None


def _of_terminated(terminated: Mapping[str, Any]) -> Exit:
    code, reason = terminated.get("exitCode"), terminated.get("reason")
    message = (terminated.get("message") or "").strip()
    if reason == "OOMKilled":
        return Exit(ExitReason.OUT_OF_MEMORY, code, message="it needed more memory than it may have")
    if reason in _NOT_RUN:
        return Exit(ExitReason.NOT_STARTED, message=message or f"its program cannot be run ({reason})")
    if reason == "ContainerStatusUnknown":
        return Exit(ExitReason.LOST, message=message or "its node cannot tell how it ended")
    if code is not None and 128 < code <= 128 + _HIGHEST_SIGNAL:
        return Exit(ExitReason.SIGNALED, code, code - 128, message=f"signal {code - 128} ended it")
    return Exit(ExitReason.ERROR, code, message=f"it ended with exit code {code}")


def _waiting(pod: Mapping[str, Any], waiting: Mapping[str, Any]) -> Seen:
    name, reason = pod["metadata"]["name"], waiting.get("reason")
    message = " ".join((waiting.get("message") or "").split()) or str(reason)
    if reason in _NEVER_PULLED:
        return _ended(Exit(ExitReason.IMAGE_UNAVAILABLE, message=message), name)
    if reason in _NOT_PULLED:
        end = Exit(ExitReason.IMAGE_UNAVAILABLE, message=message)
        final = any(word in message.lower() for word in _FINAL)
        return Seen(end.phase if final else Phase.QUEUED, end, message, name, tentative=not final)
    if reason in _NOT_CREATED:
        return _ended(Exit(ExitReason.NOT_STARTED, message=f"{reason}: {message}"), name)
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            message = f"no node takes it: {condition.get('message') or condition.get('reason')}"
            return Seen(Phase.QUEUED, message=message, pod=name)
    return Seen(Phase.QUEUED, pod=name)
