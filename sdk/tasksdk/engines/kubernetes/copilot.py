"""The pod of a container that knows nothing of the SDK: one helper brings its files, another takes what it wrote.

All three run one after the other: the first two as init containers, the last as the container of the pod. Kubernetes
itself then sees to it that the task begins when its inputs are there, and that its outputs are taken when it has
succeeded. A helper beside the task would have to find out by itself when the task has ended, which no pod is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.errors import TaskDefinitionError
from tasksdk.values.quantity import size, size_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasksdk.engines.attempt import AttemptSpec, Staging

BRING, TAKE = "tasksdk-inputs", "tasksdk-outputs"
# What the helper itself needs, however little the task asks for.
_LEAST_MEMORY = 256 * 2**20
# Kubernetes has none of these for a container that others wait for.
_ENDLESS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")


def with_copilot(
    pod: Mapping[str, Any], name: str, spec: AttemptSpec, staging: Staging, helper: Mapping[str, Any]
) -> dict[str, Any]:
    """The pod with the helpers around the container called `name`; `helper` is what they have beside their command.

    Raises:
        TaskDefinitionError: the pod template has what cannot be where the task is not the pod's last container.
    """
    where = f"task {spec.task}: pod_template"
    others = [str(one.get("name")) for one in pod["containers"] if one.get("name") != name]
    if others:
        raise TaskDefinitionError(
            f"{where}: beside a container whose files go to an address no other container runs, such as {others[0]!r}",
            hint="keep runs in a folder of a storage, or leave the other container out",
        )
    (task,) = pod["containers"]
    endless = [field for field in _ENDLESS if field in task]
    if endless:
        raise TaskDefinitionError(
            f"{where}: a container whose files go to an address has no {endless[0]}",
            hint="keep runs in a folder of a storage, or leave it out",
        )
    mounts = [_mount(BRING, staging.inputs), _mount(TAKE, staging.outputs)]
    task = {**task, "volumeMounts": [*task.get("volumeMounts", ()), {**mounts[0], "readOnly": True}, mounts[1]]}
    # Who runs as the task reads what it wrote.
    shared = {"securityContext": task["securityContext"]} if "securityContext" in task else {}

    def helping(name: str, command: Sequence[str]) -> dict[str, Any]:
        return {
            "name": name,
            "image": staging.image,
            "command": list(command),
            "volumeMounts": mounts,
            "resources": _resources(task.get("resources", {})),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            **shared,
            **helper,
        }

    return {
        **pod,
        "initContainers": [*pod.get("initContainers", ()), helping(BRING, staging.bring), task],
        "containers": [helping(TAKE, staging.take)],
        "volumes": [*pod.get("volumes", ()), *({"name": one, "emptyDir": {}} for one in (BRING, TAKE))],
    }


def _mount(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "mountPath": path}


def _resources(given: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """As much as the task has, which costs nothing: it has ended, or not begun. Devices stay with the task."""
    found = {
        kind: {what: amounts[what] for what in ("cpu", "memory", "ephemeral-storage") if what in amounts}
        for kind, amounts in given.items()
    }
    for amounts in found.values():
        if "memory" in amounts:
            amounts["memory"] = size_text(max(_LEAST_MEMORY, size(amounts["memory"], "memory")))
    return {kind: amounts for kind, amounts in found.items() if amounts}
